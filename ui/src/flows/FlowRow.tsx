import { count, duration } from '../format'
import { Glyph } from '../parts/Icon'
import { texts } from '../texts'
import { FlowGraph } from './FlowGraph'
import { repairOf, waitsFor, type WaitingRow } from './says'
import { childrenOf } from './tree'

const t = texts.flows

interface Props {
  row: WaitingRow
  /** By the server's clock. */
  now: number
  open: boolean
  onToggle: () => void
}

/** A waiting parent; open, it shows its flow. */
export function FlowRow({ row, now, open, onToggle }: Props) {
  const done = row.completed + row.ignored + row.failed
  return (
    <li className={open ? 'open' : ''}>
      <div className={`flow-row ${row.stuck ? 'trouble' : ''}`} onClick={onToggle}>
        <Glyph name={row.stuck ? 'alert' : 'children'} className={row.stuck ? 'is-failed' : 'quiet'} />
        <div>
          <button
            className="bare strong"
            aria-expanded={open}
            onClick={(event) => {
              event.stopPropagation()
              onToggle()
            }}
          >
            {row.name || row.id}
          </button>{' '}
          <span className="quiet small">
            {row.queue} <span className="mono hide-narrow">{row.id}</span> {row.parent && (
              <>
                {t.partOf(row.parent.queue)} <span className="mono">{row.parent.id}</span>
              </>
            )}
          </span>
          <p className={row.stuck ? '' : 'muted'}>
            {waitsFor(row)} {row.stuck && <span className="muted">{repairOf(row)}</span>}
          </p>
        </div>
        <span className="num hide-narrow">{t.done(count(done), count(childrenOf(row)))}</span>
        <span className="num nowrap" title={new Date(row.since * 1000).toISOString()}>
          {duration(Math.max(0, now - row.since))}
        </span>
      </div>
      {open && <FlowGraph queue={row.queue} id={row.id} told />}
    </li>
  )
}
