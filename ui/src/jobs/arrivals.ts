// A list that somebody reads stays as it is: what came and what left since is counted, and shown when they ask.

export interface Change {
  /** How many came that the list does not have. */
  fresh: number
  /** Those of the list that are not there any more. */
  left: ReadonlySet<string>
}

/**
 * shown: the ids of the list in order. head: those that its beginning has now; complete: it is all of them.
 *
 * What has only been pushed out of the head by newer ones has not left.
 */
export function compare(shown: readonly string[], head: readonly string[], complete: boolean): Change {
  const now = new Set(head)
  const known = new Set(shown)
  const fresh = head.filter((id) => !known.has(id)).length
  const reach = complete ? shown.length : Math.max(0, Math.min(shown.length, head.length - fresh))
  return { fresh, left: new Set(shown.slice(0, reach).filter((id) => !now.has(id))) }
}

/** The ids from one to another, whichever comes first in the list. */
export function between(shown: readonly string[], from: string, to: string): string[] {
  const [a, b] = [shown.indexOf(from), shown.indexOf(to)]
  if (a < 0 || b < 0) return [to]
  return shown.slice(Math.min(a, b), Math.max(a, b) + 1)
}
