import type { QueueRow } from '../queues/trouble'

/** More than these are drawn in proportion: a row has so much room. */
const MOST = 25

/** A queue's slots as posts: tall where a job runs, short where it is free, red while a breaker holds its jobs. */
export function QueuePickets({ row }: { row: Pick<QueueRow, 'slots' | 'busy' | 'states'> }) {
  const posts = Math.min(row.slots, MOST)
  const busy = row.slots <= MOST ? Math.min(row.busy, posts) : Math.min(posts, Math.ceil((row.busy / row.slots) * posts))
  const held = (row.states['held'] ?? 0) > 0
  const width = Math.max(1, posts * 4)
  return (
    <svg className="pickets" width={width} height="16" viewBox={`0 0 ${width} 16`} aria-hidden="true">
      <path className="rail" d={`M0 15.5H${width}`} />
      {/* One path for each height: two hundred rows are two hundred posts otherwise. */}
      <path className="on" d={bars(0, busy, 1, 13)} />
      <path className={held ? 'held' : 'off'} d={held ? bars(busy, posts, 6, 8) : bars(busy, posts, 9, 5)} />
    </svg>
  )
}

function bars(from: number, to: number, y: number, height: number): string {
  return Array.from({ length: Math.max(0, to - from) }, (_, n) => `M${(from + n) * 4 + 1} ${y}h2v${height}h-2z`).join('')
}
