// What a screen reader is told of the queues: changes of state, never each tick.
import { condition, type OverviewQueue } from '../queues/trouble'
import { texts } from '../texts'

const said = texts.shell.announce

/** Queues in trouble, and what is the matter with each. */
export type Troubles = ReadonlyMap<string, string>

export function troublesOf(queues: readonly OverviewQueue[]): Troubles {
  const found = new Map<string, string>()
  for (const queue of queues) {
    const now = condition(queue)
    // The kind of trouble, not how deep: "Behind by 61 s" is the same trouble a second later.
    if (now.level === 'trouble') found.set(queue.row.queue, now.says)
  }
  return found
}

/** What to say when the queues in trouble are others than before; null: nothing. */
export function summary(before: Troubles | null, now: Troubles): string | null {
  if (before === null) return null
  const fresh = [...now.keys()].filter((queue) => !before.has(queue))
  if (fresh.length === 1 && now.size === 1) return said.inTrouble(fresh[0]!, now.get(fresh[0]!)!)
  if (fresh.length > 0) return said.manyInTrouble(now.size)
  const over = [...before.keys()].some((queue) => !now.has(queue))
  if (!over) return null
  return now.size === 0 ? said.calm : said.fewer(now.size)
}
