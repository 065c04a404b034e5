// What the page asks the desk: all groups with their operations at once; of the chosen group its notes, jobs, sample.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { useEvery } from '../parts/useEvery'
import type { Group } from './groups'

export const DESK = ['dead'] as const

export function useDesk() {
  const operating = useEvery(1_000)
  const calm = useEvery(3_000)
  return useQuery({
    queryKey: DESK,
    queryFn: () => answered(api.GET('/api/v1/dead')),
    refetchInterval: (query) => (query.state.data?.operations.some((o) => o.ended === null) ? operating : calm),
  })
}

/** `wanted`: not asked for where none is needed. */
export function useBreakers(wanted = true) {
  return useQuery({
    enabled: wanted,
    queryKey: ['breakers'],
    queryFn: () => answered(api.GET('/api/v1/breakers')),
    refetchInterval: useEvery(5_000),
  })
}

export function useNotes(group: Group) {
  return useQuery({
    queryKey: ['dead-notes', group.queue, group.id, group.notes],
    queryFn: () =>
      answered(api.GET('/api/v1/queues/{queue}/dead/groups/{group}', { params: { path: { queue: group.queue, group: group.id } } })),
    enabled: group.notes > 0,
    placeholderData: keepPreviousData,
  })
}

/** How many jobs an operation would be about, and what the bin has room for. */
export function useDryRun(group: Group) {
  return useQuery({
    queryKey: ['dead-dry-run', group.queue, group.id, group.count],
    queryFn: () =>
      answered(api.POST('/api/v1/queues/{queue}/dead/preview', { params: { path: { queue: group.queue } }, body: { group: group.id } })),
    placeholderData: keepPreviousData,
  })
}

export function useJobs(group: Group, count: number) {
  const data = useMay('read_payloads')
  return useQuery({
    queryKey: ['dead-jobs', group.queue, group.id, group.count, group.lastSeen, count, data],
    queryFn: () =>
      answered(
        api.GET('/api/v1/queues/{queue}/dead/jobs', { params: { path: { queue: group.queue }, query: { group: group.id, count, data } } }),
      ),
    placeholderData: (before, query) => (query?.queryKey[2] === group.id ? before : undefined),
  })
}

/** One dead letter with its attempts; its data for who may see that. */
export function useLetter(queue: string, id: string) {
  const data = useMay('read_payloads')
  return useQuery({
    queryKey: ['dead-letter', queue, id, data],
    queryFn: () =>
      answered(api.GET('/api/v1/queues/{queue}/dead/jobs/{job_id}', { params: { path: { queue, job_id: id }, query: { data } } })),
    enabled: id !== '',
    retry: false,
  })
}
