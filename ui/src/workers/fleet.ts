// What the fleet of worker processes looks like: by host, by version, slot by slot. Pure.
import type { components } from '../api/schema'
import { texts } from '../texts'

export type Worker = components['schemas']['WorkerRow']

/** A beat comes each 5 s; two that are missing are worth a word. */
const LATE_BEAT_SECONDS = 12

/** Posts that there is room for; a worker of more slots has some for each queue, in proportion. */
export const MOST_PICKETS = 60

export interface Host {
  name: string
  workers: Worker[]
  slots: number
  busy: number
  memoryBytes: number
}

/** By host, in order of name; a host's workers in order of theirs. */
export function byHost(workers: Worker[]): Host[] {
  const hosts = new Map<string, Worker[]>()
  for (const worker of workers) hosts.set(worker.host, [...(hosts.get(worker.host) ?? []), worker])
  const sum = (all: Worker[], of: (worker: Worker) => number) => all.reduce((total, worker) => total + of(worker), 0)
  return [...hosts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, found]) => ({
      name,
      workers: found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true })),
      slots: sum(found, (worker) => worker.slots),
      busy: sum(found, (worker) => worker.busy),
      memoryBytes: sum(found, (worker) => worker.memoryBytes),
    }))
}

/** The version of the process that started last: what was deployed. */
export function currentVersion(workers: Worker[]): string | null {
  const newest = workers.reduce<Worker | null>((a, b) => (a && a.startedAt >= b.startedAt ? a : b), null)
  return newest?.version ?? null
}

/** Those that run another version than the one deployed last. */
export function leftBehind(workers: Worker[]): Worker[] {
  const current = currentVersion(workers)
  return workers.filter((worker) => worker.version !== current)
}

export type Mark = 'quiet' | 'behind' | 'silent' | 'running' | 'unknown'

/**
 * heardSince: since when beats can be heard, epoch seconds; null while they cannot, as when Redis is away: what a worker
 * does then, nobody knows. A beat that is missing because nobody could hear it is not missed.
 */
export function markOf(worker: Worker, current: string | null, now: number, heardSince: number | null = 0): Mark {
  if (heardSince === null) return 'unknown'
  if (now - worker.beatAt > LATE_BEAT_SECONDS) return now - heardSince > LATE_BEAT_SECONDS ? 'silent' : 'unknown'
  if (worker.quiet) return 'quiet'
  return worker.version === current ? 'running' : 'behind'
}

export interface Picket {
  x: number
  busy: boolean
}

/** A post for each slot, those of a queue together, the busy ones first. Of more slots than there is room for a queue
 * has its share at most: its busy posts are in proportion, one at least where a job runs.
 */
export function pickets(worker: Worker): { posts: Picket[]; width: number } {
  const places = worker.places.length > 0 ? worker.places : [{ queue: '', slots: worker.slots, busy: worker.busy }]
  const share = worker.slots > MOST_PICKETS ? Math.max(2, Math.floor(MOST_PICKETS / places.length)) : worker.slots
  const groups = places.map(({ slots, busy }) => ({ slots: Math.min(slots, share), busy: slots > share ? Math.ceil((busy / slots) * share) : busy }))
  const posts: Picket[] = []
  let x = 1
  for (const group of groups) {
    for (let at = 0; at < group.slots; at += 1) {
      posts.push({ x, busy: at < group.busy })
      x += 4
    }
    x += 4
  }
  return { posts, width: Math.max(1, x - 5) }
}

/** "worker-2 runs 2.13.2, the other 4 run 2.14.0." in two halves. */
export function skewSentence(workers: Worker[]): { who: string; others: string } | null {
  const behind = leftBehind(workers)
  const current = currentVersion(workers)
  if (behind.length === 0 || current === null) return null
  const versions = [...new Set(behind.map((worker) => worker.version))].sort()
  const { behindRuns, othersRun } = texts.workers
  return { who: behindRuns(behind.map((worker) => worker.name), versions), others: othersRun(workers.length - behind.length, current) }
}
