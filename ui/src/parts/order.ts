/** The order that was, for as many as are still there; what is new comes last. Rows stay where somebody points at them. */
export function keepOrder<Item>(before: readonly string[], items: readonly Item[], nameOf: (item: Item) => string): Item[] {
  const place = new Map(before.map((name, at) => [name, at]))
  const at = (item: Item) => place.get(nameOf(item)) ?? before.length
  return [...items].sort((a, b) => at(a) - at(b))
}
