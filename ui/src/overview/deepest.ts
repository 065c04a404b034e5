// Which queues the chart of all shows: the worst and the deepest as lines of their own, few enough to be told apart.
import { condition, type OverviewQueue } from '../queues/trouble'
import { worst } from '../queues/series'

export const MOST_LINES = 6

/** `queues` come worst first. Those in trouble are drawn last, over the others. */
export function chosen(queues: OverviewQueue[]): OverviewQueue[] {
  const troubled = queues.filter((queue) => condition(queue).level === 'trouble').slice(0, MOST_LINES)
  const rest = queues
    .filter((queue) => !troubled.includes(queue))
    .sort((a, b) => (worst(b.waiting) ?? 0) - (worst(a.waiting) ?? 0) || a.row.queue.localeCompare(b.row.queue))
    .slice(0, MOST_LINES - troubled.length)
  return [...rest, ...troubled.reverse()]
}
