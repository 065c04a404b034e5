import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Icon } from '../parts/Icon'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { texts } from '../texts'
import { mailOf, type OutboxEntry, pictureOf, readEntry } from './api'

const t = texts.outbox

/** One entry whole. What was received does not change, so it is asked for once. */
export function Entry({ number, onClose }: { number: number; onClose: () => void }) {
  const found = useQuery({ queryKey: ['outbox entry', number], queryFn: () => readEntry(number), staleTime: Infinity, retry: false })
  const entry = found.data
  return (
    <aside className="aside outbox-entry" aria-label={entry ? t.entry(entry.title) : t.facts}>
      {found.isPending && <SkeletonRows rows={3} />}
      {found.isError && <p className="pad muted">{found.error.message}</p>}
      {entry && (
        <>
          <div className="rail-sec">
            <div className="head">
              <h2>{entry.title || t.untitled}</h2>
              <div className="right">
                <button className="icon-btn" title={t.close} aria-label={t.close} onClick={onClose}>
                  <Icon name="close" />
                </button>
              </div>
            </div>
            <p className="small quiet">
              {t.kinds[entry.kind]} · {entry.provider} · <Time at={entry.at} />
              {entry.to && ` · ${entry.to}`}
            </p>
          </div>
          {(entry.html || entry.text) && <Body key={number} entry={entry} />}
          {entry.picture && (
            <div className="rail-sec">
              <img className="outbox-picture" src={pictureOf(number)} alt={t.picture} />
            </div>
          )}
          <div className="rail-sec">
            <div className="head">
              <h2>{t.facts}</h2>
            </div>
            <dl className="kv">
              {entry.facts.map((fact) => (
                <Fact key={fact.name} {...fact} />
              ))}
            </dl>
          </div>
        </>
      )}
    </aside>
  )
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value.includes('\n') ? <pre className="outbox-source mono">{value}</pre> : <span className="outbox-value">{value}</span>}</dd>
    </>
  )
}

/** A mail as its reader sees it, its text, its source. The frame runs nothing and asks nobody for anything. */
function Body({ entry }: { entry: OutboxEntry }) {
  const views = [entry.html && 'rendered', entry.text && 'text', entry.html && 'source'].filter(Boolean) as ('rendered' | 'text' | 'source')[]
  const [view, setView] = useState(views[0]!)
  return (
    <div className="rail-sec outbox-body">
      {views.length > 1 && (
        <div className="seg below-small" role="group" aria-label={t.views}>
          {views.map((one) => (
            <button key={one} aria-pressed={one === view} onClick={() => setView(one)}>
              {t[one]}
            </button>
          ))}
        </div>
      )}
      {view === 'rendered' ? (
        <>
          <iframe className="outbox-frame" sandbox="" referrerPolicy="no-referrer" title={t.frame} src={mailOf(entry.number)} />
          <p className="small quiet">{t.frameNote}</p>
        </>
      ) : (
        <pre className={view === 'source' ? 'outbox-source mono' : 'outbox-source'}>{view === 'source' ? entry.html : entry.text}</pre>
      )}
    </div>
  )
}
