// What a live stream means to the page: which queries a topic touches, and when to come back. Pure.

/** How the page hears of changes: `off` before the first word of the stream, `paused` while nobody looks at it. */
export type Hearing = 'off' | 'live' | 'paused' | 'reconnecting'

/** While changes are told, pages ask by themselves only this often, in case one was missed. */
export const FALLBACK_MS = 30_000

/** One query is not read more often than this, however much changes. */
export const APART_MS = 1_000

const FIRST_MS = 1_000
const LONGEST_MS = 30_000

/** Queries that a topic touches, by the first part of their key; `queue:…` and `job:…` below. */
const TOUCHED: Record<string, readonly string[]> = {
  dead: ['dead', 'dead-letter'],
  schedules: ['schedules', 'schedule'],
  alerts: ['alerts', 'alerts-history', 'changes'],
  workers: ['workers'],
  breakers: ['breakers', 'overview', 'queue'],
  audit: ['audit'],
  scaling: ['scaling', 'changes'],
  keys: ['keys'],
}

/** What is shown of one queue, with its name as the second part of the key. */
const OF_QUEUE = ['queue', 'settings', 'head', 'groups', 'stats']
const OF_JOB = ['job', 'logs']

/** Whether what a query shows may have changed. Topics: see the server's `live_digest`. */
export function touches(topic: string, key: readonly unknown[]): boolean {
  const [kind, first, second] = key as [string, unknown, unknown]
  if (topic.startsWith('queue:')) return kind === 'overview' || (OF_QUEUE.includes(kind) && first === topic.slice('queue:'.length))
  if (topic.startsWith('job:')) return OF_JOB.includes(kind) && `${String(first)}/${String(second)}` === topic.slice('job:'.length)
  return TOUCHED[topic]?.includes(kind) ?? false
}

/** How often to ask: a topic tells sooner while the stream is heard. */
export function every(milliseconds: number, hearing: Hearing): number {
  return hearing === 'live' ? Math.max(milliseconds, FALLBACK_MS) : milliseconds
}

/** Milliseconds until the next try after so many that failed, 1 and more. `random`, 0 to 1, spreads pages that lost the same server. */
export function backOff(failures: number, random: number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10))
  return longest * (0.5 + random / 2)
}
