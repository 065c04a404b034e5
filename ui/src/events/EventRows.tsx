import { Link } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useRef } from 'react'
import { clock, count, exact } from '../format'
import { Glyph } from '../parts/Icon'
import { texts } from '../texts'
import type { QueueEvent, Row } from './tape'
import { sum } from './tape'
import { detail, kindName, look, says } from './words'

const t = texts.events

/** The rows, of which only those in sight are in the page. Nobody is told of each: a screen reader reads them at will. */
export function EventRows({ rows, onFilter }: { rows: Row[]; onFilter: (changes: { queue?: string }) => void }) {
  const box = useRef<HTMLTableElement>(null)
  const narrow = window.innerWidth <= 640
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => (narrow ? 58 : 37),
    overscan: 15,
    scrollMargin: box.current?.offsetTop ?? 0,
    getItemKey: (at) => rows[at]!.key,
  })
  const shown = virtual.getVirtualItems()
  const above = shown.length ? shown[0]!.start - virtual.options.scrollMargin : 0
  const below = shown.length ? virtual.getTotalSize() - (shown.at(-1)!.end - virtual.options.scrollMargin) : 0
  return (
    <table className="table list rows events" ref={box} aria-rowcount={rows.length} aria-live="off">
      <thead>
        <tr>
          <th className="c-when">{t.when}</th>
          <th className="c-what">{t.what}</th>
          <th className="c-queue">{t.of}</th>
          <th className="c-job">{t.job}</th>
          <th>{t.details}</th>
        </tr>
      </thead>
      <tbody>
        {above > 0 && <Space height={above} />}
        {shown.map((item) => {
          const row = rows[item.index]!
          const place = { index: item.index, measure: virtual.measureElement }
          return row.type === 'event' ? <EventLine key={row.key} event={row.event} onFilter={onFilter} {...place} /> : <Note key={row.key} row={row} {...place} />
        })}
        {below > 0 && <Space height={below} />}
      </tbody>
    </table>
  )
}

interface Place {
  index: number
  measure: (row: HTMLTableRowElement | null) => void
}

function EventLine({ event, index, measure, onFilter }: { event: QueueEvent; onFilter: (changes: { queue?: string }) => void } & Place) {
  const { glyph, tone } = look(event.kind)
  const told = detail(event)
  return (
    <tr ref={measure} data-index={index} className={event.kind === 'failed' ? 'trouble' : ''}>
      <td className="when">
        <time className="mono small quiet" dateTime={exact(event.at)} title={exact(event.at)}>
          {timeOf(event.at)}
        </time>
      </td>
      <td className="what" title={event.kind}>
        <Glyph name={glyph} className={tone} /> <span className={tone.startsWith('is-') ? tone : ''}>{says(event)}</span>
      </td>
      <td className="queue ellipsis">
        <button className="bare" title={event.queue} onClick={() => onFilter({ queue: event.queue })}>
          {event.queue}
        </button>
      </td>
      <td className="job ellipsis">
        {event.job !== null && (
          <Link className="job-link" to="/queues/$queue/jobs/$id" params={{ queue: event.queue, id: event.job }} title={event.job}>
            <span className="mono">{event.job}</span> <span className="quiet">{event.name}</span>
          </Link>
        )}
      </td>
      <td className="full ellipsis told">
        {event.redacted ? (
          <span className="redacted">
            <Glyph name="lock" />
            <span>{t.redacted}</span>
          </span>
        ) : (
          told && (
            <span className={event.kind === 'failed' ? 'small' : event.kind === 'delayed' ? 'small quiet' : 'mono small quiet'} title={told}>
              {told}
            </span>
          )
        )}
      </td>
    </tr>
  )
}

function Note({ row, index, measure }: { row: Exclude<Row, { type: 'event' }> } & Place) {
  return (
    <tr ref={measure} data-index={index} className="note">
      <td className="when">
        <time className="mono small quiet" dateTime={exact(row.at)} title={exact(row.at)}>
          {timeOf(row.at)}
        </time>
      </td>
      <td colSpan={4} className="what-note small">
        {row.type === 'left' ? <span className="quiet">{t.left(count(sum(row.counts)), kinds(row.counts))}</span> : <Gone queue={row.queue} lost={row.count} />}
      </td>
    </tr>
  )
}

function Gone({ queue, lost }: { queue: string; lost: number | null }) {
  return (
    <span className="is-limited">
      <Glyph name="alert" /> {lost === null ? t.maybeMissed(queue) : t.missed(count(lost), queue)}
    </span>
  )
}

function kinds(counts: Record<string, number>): string {
  return Object.entries(counts)
    .sort((a, b) => b[1] - a[1])
    .map(([kind, number]) => `${count(number)} ${kindName(kind).toLowerCase()}`)
    .join(', ')
}

/** With milliseconds: many happen in one second. */
function timeOf(at: number): string {
  return `${clock(Math.floor(at))}.${String(Math.floor(at * 1000) % 1000).padStart(3, '0')}`
}

function Space({ height }: { height: number }) {
  return (
    <tr aria-hidden="true" className="space">
      <td colSpan={5} ref={(cell) => void (cell && (cell.style.height = `${height}px`))} />
    </tr>
  )
}
