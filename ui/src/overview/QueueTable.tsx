import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useRef } from 'react'
import { useMay } from '../api/session'
import type { Hold } from '../parts/useStillOrder'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'
import type { Row } from './groups'
import { GroupRow } from './GroupRow'
import { QueueLine } from './QueueLine'
import { usePausing } from './usePausing'

const say = texts.overview.columns

/** Shorter lists are drawn whole. */
const MANY = 60
const TALL = 57
const TALL_NARROW = 106
const COLUMNS = 11

interface Props {
  rows: Row[]
  /** Minutes that rates and failures are of. */
  minutes: number
  alertAt: (queue: string) => number | null
  onTurn: (prefix: string) => void
  /** Keeps the order while somebody points at a row. */
  hold: Hold
}

/** Every queue as a row that decides. Of a long list only what can be seen is in the page. */
export function QueueTable({ rows, minutes, alertAt, onTurn, hold }: Props) {
  const box = useRef<HTMLTableElement>(null)
  const setPaused = usePausing()
  const may = useMay('operate')
  const many = rows.length > MANY
  const keyOf = (row: Row) => (row.kind === 'group' ? `group ${row.group.prefix}` : row.queue.row.queue)
  const virtual = useWindowVirtualizer({
    count: many ? rows.length : 0,
    estimateSize: () => (matchMedia('(max-width: 640px)').matches ? TALL_NARROW : TALL),
    overscan: 6,
    scrollMargin: box.current?.offsetTop ?? 0,
    getItemKey: (at) => keyOf(rows[at]!),
  })
  const cursor = useCursor(rows.map(keyOf), { reveal: (at) => many && virtual.scrollToIndex(at, { align: 'auto' }) })
  const seen = many ? virtual.getVirtualItems() : []
  const shown = many ? seen.map((item) => ({ row: rows[item.index]!, at: item.index })) : rows.map((row, at) => ({ row, at }))
  const margin = virtual.options.scrollMargin
  const before = many ? (seen[0]?.start ?? margin) - margin : 0
  const after = many ? virtual.getTotalSize() - ((seen.at(-1)?.end ?? margin) - margin) : 0
  return (
    <table className="table rows queues" {...hold} ref={box} aria-rowcount={rows.length + 1}>
      <thead>
        <tr>
          <th>{say.queue}</th>
          <th className="num">{say.waiting}</th>
          <th className="c-age">{say.oldest}</th>
          <th className="num">{say.in}</th>
          <th className="num">{say.out}</th>
          <th className="num">{say.drained}</th>
          <th className="num">{say.failed(minutes)}</th>
          <th className="num col-wide">{say.p95}</th>
          <th className="col-wide">{say.slots}</th>
          <th className="c-spark">{say.depth}</th>
          <th>
            <span className="sr">{say.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        <Space height={before} />
        {shown.map(({ row, at }) =>
          row.kind === 'group' ? (
            <GroupRow key={keyOf(row)} marks={cursor.row(keyOf(row))} group={row.group} open={row.open} at={at} onTurn={onTurn} />
          ) : (
            <QueueLine
              key={keyOf(row)}
              marks={cursor.row(keyOf(row))}
              queue={row.queue}
              inGroup={row.inGroup}
              at={at}
              alertAt={alertAt(row.queue.row.queue)}
              setPaused={may ? setPaused : null}
            />
          ),
        )}
        <Space height={after} />
      </tbody>
    </table>
  )
}

/** Stands for the rows that cannot be seen. */
function Space({ height }: { height: number }) {
  if (height <= 0) return null
  return (
    <tr className="space" aria-hidden="true">
      <td colSpan={COLUMNS} style={{ height }} />
    </tr>
  )
}
