// What the palette finds, and in which order.

export type Kind = 'page' | 'queue' | 'job' | 'worker' | 'schedule' | 'dead' | 'here' | 'command'

/** What may be found: its title, and words that find it too. */
export interface Findable {
  id: string
  kind: Kind
  title: string
  also?: string
}

/** Of two that fit as well, a place comes before what one can do there. */
const ORDER: readonly Kind[] = ['page', 'queue', 'job', 'here', 'dead', 'worker', 'schedule', 'command']

/** How well a text fits one word: 0 not at all, 100 is the word itself. */
export function fit(text: string, word: string): number {
  const [in_, what] = [text.toLowerCase(), word.toLowerCase()]
  if (what === '') return 1
  if (in_ === what) return 100
  if (in_.startsWith(what)) return 80
  const at = in_.indexOf(what)
  if (at > 0) return isEdge(in_, at) ? 65 : 45
  return scattered(in_, what)
}

/** Letters in their order with others between them: better the more of them begin a word. At most 40, 0 if too far apart. */
function scattered(text: string, word: string): number {
  let at = -1
  let edges = 0
  let gaps = 0
  for (const letter of word) {
    // The beginning of a word is preferred, so that `kv` is kyc-verification before anything in between.
    const edge = edgeWith(text, letter, at + 1)
    const next = edge >= 0 ? edge : text.indexOf(letter, at + 1)
    if (next < 0) return edge < 0 && edges > 0 ? plain(text, word) : 0
    if (isEdge(text, next)) edges += 1
    else if (next !== at + 1) gaps += 1
    at = next
  }
  return gaps > word.length / 3 ? plain(text, word) : 15 + Math.round((25 * edges) / word.length)
}

/** The same without a liking for beginnings; only close together does it count. */
function plain(text: string, word: string): number {
  const first = text.indexOf(word[0]!)
  let at = first - 1
  for (const letter of word) {
    at = text.indexOf(letter, at + 1)
    if (at < 0) return 0
  }
  return at - first < word.length * 2 ? 10 : 0
}

function isEdge(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]!)
}

function edgeWith(text: string, letter: string, from: number): number {
  for (let at = text.indexOf(letter, from); at >= 0; at = text.indexOf(letter, at + 1)) if (isEdge(text, at)) return at
  return -1
}

/** How well an entry fits all words of a query; 0: one of them is nowhere in it. */
export function score(entry: Findable, query: string): number {
  const words = query.trim().split(/\s+/).filter(Boolean)
  let all = 0
  for (const word of words) {
    // A word of the sidelines counts half, and is only found whole.
    const aside = entry.also?.toLowerCase().includes(word.toLowerCase()) ? 30 : 0
    const best = Math.max(fit(entry.title, word), aside)
    if (best === 0) return 0
    all += best
  }
  const whole = words.length > 1 ? fit(entry.title, words.join(' ')) : 0
  return words.length === 0 ? 0 : Math.max(all / words.length, whole)
}

/** What fits, best first; of those that fit as well, what was used lately. `found`: fit already, by a look-up. */
export function ranked<Entry extends Findable>(
  entries: readonly Entry[],
  query: string,
  recent: readonly string[],
  found: readonly Entry[] = [],
  most = 50,
): Entry[] {
  // A whole id is what was meant, unless a page or queue has that very name.
  const scored = found.map((entry) => ({ entry, points: 95 }))
  for (const entry of entries) {
    const points = score(entry, query)
    if (points > 0) scored.push({ entry, points })
  }
  const late = (id: string) => (recent.includes(id) ? recent.indexOf(id) : recent.length)
  return scored
    .sort(
      (a, b) =>
        b.points - a.points ||
        late(a.entry.id) - late(b.entry.id) ||
        ORDER.indexOf(a.entry.kind) - ORDER.indexOf(b.entry.kind) ||
        a.entry.title.length - b.entry.title.length ||
        a.entry.title.localeCompare(b.entry.title),
    )
    .slice(0, most)
    .map(({ entry }) => entry)
}

/** Used just now: it comes first, each once. */
export function used(recent: readonly string[], id: string, most = 8): string[] {
  return [id, ...recent.filter((one) => one !== id)].slice(0, most)
}
