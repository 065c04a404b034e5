// The jobs of a list: pages of them that stay as they were read, and what has changed at the beginning since.
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import { readJobs, type JobRow, type Listed } from './api'
import { compare } from './arrivals'
import { useEvery } from '../parts/useEvery'

/** Rows of a page. */
const PAGE = 100

/** Requests that are made one after the other while too little is found. */
const TRIES = 40

/** held: somebody reads the list, so that it must not move. */
export function useJobs(listed: Listed, key: string, held: boolean) {
  const { queue, state, oldest } = listed
  const queries = useQueryClient()
  const queryKey = useMemo(() => ['jobs', queue, state, oldest, key], [queue, state, oldest, key])
  const found = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => readJobs(listed, pageParam, PAGE),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.cursor,
    // Its beginning is looked at below; what is shown changes when it may.
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })
  const head = useQuery({
    queryKey: ['head', queue, state, oldest, key],
    queryFn: () => readJobs(listed, null, PAGE),
    enabled: found.isSuccess,
    refetchInterval: useEvery(3_000),
  })
  const pages = found.data?.pages ?? []
  const latest = head.dataUpdatedAt > found.dataUpdatedAt ? head.data : undefined
  const stood = useMemo(() => unique(pages.flatMap((page) => page.jobs)), [found.data])
  const change = useMemo(
    () => (latest ? compare(stood.map((job) => job.id), latest.jobs.map((job) => job.id), latest.cursor === null) : { fresh: 0, left: new Set<string>() }),
    [stood, latest],
  )
  // A row that stays is shown as it is now: its progress, its attempts.
  const jobs = useMemo(() => {
    const now = new Map(latest?.jobs.map((job) => [job.id, job]))
    return stood.map((job) => now.get(job.id) ?? job)
  }, [stood, latest])

  const { hasNextPage, isFetching, fetchNextPage } = found
  const few = jobs.length < PAGE / 2
  useEffect(() => {
    if (few && hasNextPage && !isFetching && pages.length < TRIES) void fetchNextPage()
  }, [few, hasNextPage, isFetching, pages.length, fetchNextPage])

  const changed = change.fresh > 0 || change.left.size > 0
  const renew = () => queries.resetQueries({ queryKey, exact: true })
  useEffect(() => {
    if (!changed || held || !latest) return
    // The head is what a fresh read would bring: shown at once, without an empty list in between.
    queries.setQueryData(queryKey, { pages: [latest], pageParams: [null] })
  }, [changed, held, latest, queries, queryKey])

  const last = pages.at(-1)
  return { found, jobs, change, renew, last, at: latest?.at ?? last?.at ?? Date.now() / 1000, total: latest?.total ?? last?.total ?? null }
}

function unique(jobs: JobRow[]): JobRow[] {
  return [...new Map(jobs.map((job) => [job.id, job])).values()]
}
