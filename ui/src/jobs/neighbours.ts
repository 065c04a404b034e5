// Which jobs came before and after one in the list from which it was opened. Only as long as the page lives.

let listed: { queue: string; ids: readonly string[] } | null = null

export function remember(queue: string, ids: readonly string[]): void {
  listed = { queue, ids }
}

/** The id that is `by` further in the list; null: at its end, or opened from elsewhere. */
export function neighbour(queue: string, id: string, by: 1 | -1): string | null {
  if (listed?.queue !== queue) return null
  const at = listed.ids.indexOf(id)
  return at < 0 ? null : (listed.ids[at + by] ?? null)
}
