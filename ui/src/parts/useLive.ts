import { useQueryClient } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { useEffect, useSyncExternalStore } from 'react'
import type { Hearing } from '../api/live'
import { listen, readHearing, watchHearing } from '../api/liveStream'

/** Hears of changes for as long as the page is open; once, in the shell. */
export function useLive() {
  const queries = useQueryClient()
  const { queue, id } = useParams({ strict: false })
  const job = queue && id ? `${queue}/${id}` : null
  useEffect(() => listen(queries, job), [queries, job])
}

export function useHearing(): Hearing {
  return useSyncExternalStore(watchHearing, readHearing)
}
