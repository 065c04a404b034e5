// Everything that the palette may find, and what choosing it does.
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useDeferredValue } from 'react'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { useDesk } from '../dead/desk'
import { errorName, keyOf, sentence } from '../dead/groups'
import { count } from '../format'
import { pauseQueue, resumeQueue } from '../jobs/api'
import { useOverview } from '../pages/Overview'
import type { IconName } from '../parts/Icon'
import { useMay } from '../api/session'
import { useAct } from '../parts/useAct'
import { useDelayed } from '../parts/useDelayed'
import { condition } from '../queues/trouble'
import { texts } from '../texts'
import { leave } from './leave'
import type { Findable } from './matching'
import { lay } from './overlay'
import { toggleTheme } from './theme'
import { useHolding } from './useKeys'
import { usePlaces } from './usePlaces'

export interface Entry extends Findable {
  detail?: string
  icon: IconName
  /** The key that does the same. */
  key?: string
  run: () => void
}

type FoundJob = components['schemas']['FoundJob']

const said = texts.shell.palette

/** Keys that only move within a list: nothing to choose. */
const MOVES = new Set(['j', 'k', 'x', 'Shift x', 'Enter', 'Escape', '/', '?', 't', 'Mod k'])

export function useEntries(): Entry[] {
  const places = usePlaces()
  const navigate = useNavigate()
  const { act } = useAct()
  const overview = useOverview(10_000)
  const desk = useDesk()
  const may = useMay('operate') && !overview.isError
  const holding = useHolding()
  const workers = useQuery({ queryKey: ['workers'], queryFn: () => answered(api.GET('/api/v1/workers')), staleTime: 10_000 })
  const schedules = useQuery({ queryKey: ['schedules'], queryFn: () => answered(api.GET('/api/v1/schedules')), staleTime: 10_000 })
  const queues = overview.data?.queues ?? []

  const entries: Entry[] = places.map((place) => ({
    id: `page:${place.to}#${place.hash ?? ''}`,
    kind: 'page',
    title: place.name,
    icon: place.icon,
    key: `g ${place.key}`,
    run: () => void navigate({ to: place.to, ...(place.hash ? { hash: place.hash } : {}) }),
  }))
  for (const queue of queues) {
    const name = queue.row.queue
    entries.push({
      id: `queue:${name}`,
      kind: 'queue',
      title: name,
      also: Object.keys(queue.row.names).join(' '),
      detail: condition(queue).says,
      icon: 'queues',
      run: () => void navigate({ to: '/queues/$queue', params: { queue: name }, search: {} }),
    })
  }
  for (const [name, deed] of holding) {
    if (MOVES.has(name) || name.startsWith('g ')) continue
    entries.push({ id: `here:${name}`, kind: 'here', title: deed.says, icon: 'play', key: name, run: deed.run })
  }
  for (const group of desk.data?.groups ?? []) {
    entries.push({
      id: `dead:${keyOf(group)}`,
      kind: 'dead',
      title: `${errorName(group.error)}: ${sentence(group)}`,
      also: `${group.queue} ${group.name}`,
      detail: said.failedJobs(count(group.count), group.queue),
      icon: 'dead',
      run: () => void navigate({ to: '/dead', search: { group: keyOf(group), state: group.state === 'open' ? undefined : group.state } as never }),
    })
  }
  for (const worker of workers.data?.workers ?? []) {
    entries.push({
      id: `worker:${worker.name}`,
      kind: 'worker',
      title: worker.name,
      also: `${worker.version} ${worker.host}`,
      detail: worker.queues.join(', '),
      icon: 'workers',
      run: () => void navigate({ to: '/workers', search: { worker: worker.name } as never }),
    })
  }
  for (const schedule of schedules.data?.schedules ?? []) {
    entries.push({
      id: `schedule:${schedule.queue}:${schedule.id}`,
      kind: 'schedule',
      title: schedule.id,
      also: `${schedule.queue} ${schedule.name}`,
      detail: `${schedule.words} · ${schedule.queue}`,
      icon: 'clock',
      run: () => void navigate({ to: '/schedules', search: { schedule: `${schedule.queue} ${schedule.id}` } as never }),
    })
  }
  const command = (id: string, title: string, icon: IconName, run: () => void, key?: string) =>
    entries.push({ id: `do:${id}`, kind: 'command', title, icon, run, ...(key ? { key } : {}) })
  command('theme', said.theme, 'theme', toggleTheme, 't')
  command('keys', said.keys, 'help', () => lay({ kind: 'keys' }), '?')
  command('leave', texts.shell.signOut, 'leave', leave)
  if (may) {
    for (const { row } of queues) {
      const { queue } = row
      const pause = { run: () => pauseQueue(queue), done: said.paused(queue), undo: () => resumeQueue(queue) }
      const resume = { run: () => resumeQueue(queue), done: said.runs(queue), undo: () => pauseQueue(queue) }
      if (row.paused) command(`resume:${queue}`, said.resume(queue), 'play', () => act(resume))
      else command(`pause:${queue}`, said.pause(queue), 'pause', () => act(pause))
      command(`add:${queue}`, said.add(queue), 'add', () => lay({ kind: 'add', queue }))
    }
  }
  return entries
}

/** Jobs that have this id in any queue, looked up a moment after the last letter. */
export function useFoundJobs(query: string): { jobs: Entry[]; looking: boolean } {
  const navigate = useNavigate()
  const id = useDeferredValue(query.trim())
  const quiet = useDelayed(id === query.trim() && id !== '', 200)
  const found = useQuery({
    queryKey: ['find', id],
    queryFn: () => answered(api.GET('/api/v1/find', { params: { query: { id } } })),
    enabled: quiet && id !== '' && id.length <= 300,
    staleTime: 10_000,
    retry: false,
  })
  return { jobs: (found.data?.jobs ?? []).map((job) => entryOf(job, (queue, id) => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id } }))), looking: found.isFetching }
}

function entryOf(job: FoundJob, open: (queue: string, id: string) => void): Entry {
  const by = job.by === 'dedup' ? said.byDedup : job.by === 'idempotency' ? said.byIdempotency : ''
  return {
    id: `job:${job.queue}:${job.id}`,
    kind: 'job',
    title: job.id,
    detail: [said.jobIn(job.queue, job.name, job.state), by].filter(Boolean).join(', '),
    icon: 'search',
    run: () => open(job.queue, job.id),
  }
}

/** Where to search on for what is no name: the last entries of every list. */
export function useFurther(query: string): Entry[] {
  const navigate = useNavigate()
  const params: { queue?: string } = useParams({ strict: false })
  const text = query.trim()
  if (text === '') return []
  const { queue } = params
  const further: Entry[] = []
  if (queue) {
    further.push({
      id: 'further:jobs',
      kind: 'queue',
      title: said.searchJobs(queue, text),
      icon: 'search',
      run: () => void navigate({ to: '/queues/$queue', params: { queue }, search: { q: text } }),
    })
  }
  further.push({
    id: 'further:dead',
    kind: 'dead',
    title: said.searchDead(text),
    icon: 'dead',
    run: () => void navigate({ to: '/dead', search: { q: text } }),
  })
  return further
}

/** Jobs are not kept in any list: one that was opened lately is made from its id again. */
export function useRecentJobs(recent: readonly string[]): Entry[] {
  const navigate = useNavigate()
  return recent
    .filter((id) => id.startsWith('job:'))
    .map((id) => {
      const [, queue = '', ...rest] = id.split(':')
      const job = rest.join(':')
      return {
        id,
        kind: 'job' as const,
        title: job,
        detail: queue,
        icon: 'search' as const,
        run: () => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: job } }),
      }
    })
}
