import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { EventFilter } from '../events/EventFilter'
import { EventRows } from '../events/EventRows'
import { parse, write } from '../events/filter'
import { useHolding } from '../events/useHolding'
import { useTape } from '../events/useTape'
import type { EventsSearch } from '../events/search'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { failed } from '../parts/toasting'
import { texts } from '../texts'

const t = texts.events

export function Events() {
  const { q: text = '' }: EventsSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = (q: string) => void navigate({ to: '/events', search: { q: q || undefined }, replace: true })
  const [paused, setPaused] = useState(false)
  const { reading, over } = useHolding()
  const { tape, past, freshness, older } = useTape(text, paused || reading)
  const { filter, wrong } = parse(text)
  const nothing = past !== null && tape.rows.length === 0
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest('input, textarea, select, dialog')
      if (event.key === 'p' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) setPaused((was) => !was)
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
  const goOn = () => {
    setPaused(false)
    scrollTo({ top: 0 })
  }
  return (
    <>
      <PageTop query={freshness}>{t.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>{t.title}</h1>
          <p className="lead">{t.lead}</p>
        </div>
        <div className="btn-row">
          <button className="btn" aria-pressed={paused} title={t.pauseTitle} onClick={() => (paused ? goOn() : setPaused(true))}>
            <Icon name={paused ? 'play' : 'pause'} />
            {paused ? t.goOn : t.pause}
          </button>
        </div>
      </div>
      <EventFilter text={text} onChange={set} />
      {wrong.map((word) => (
        <p key={word} className="banner calm is-failed" role="alert">
          {t.notUnderstood(word)}
        </p>
      ))}
      {past && past.queuesInAll > past.queues && <p className="banner calm small">{t.some(past.queues, count(past.queuesInAll))}</p>}
      <div className="held-bar" role="status">
        {tape.waiting > 0 && (
          <button className="btn sm" onClick={goOn}>
            {t.new(count(tape.waiting))}
          </button>
        )}
        {paused && <span className="small quiet">{t.paused}</span>}
      </div>
      {past === null && !freshness.isError && <SkeletonRows rows={8} />}
      {past === null && freshness.isError && (
        <div className="empty">
          <h3>{t.down}</h3>
          <p>{t.downWhy}</p>
        </div>
      )}
      {nothing && (
        <div className="empty">
          <h3>{text ? t.noneFits : t.none}</h3>
          <p>{text ? t.noneFitsWhy : t.noneWhy}</p>
          {text && (
            <button className="btn" onClick={() => set('')}>
              {t.clear}
            </button>
          )}
        </div>
      )}
      {tape.rows.length > 0 && (
        <div {...over}>
          <EventRows rows={tape.rows} onFilter={({ queue }) => set(write({ ...filter, queues: queue === undefined ? [] : [queue] }))} />
        </div>
      )}
      {past && (
        <div className="pad head">
          {past.before === null ? (
            tape.rows.length > 0 && <span className="small quiet">{t.begins}</span>
          ) : (
            <>
              <button className="btn" onClick={() => void older().catch((error: unknown) => failed('', error))}>
                {t.older}
              </button>
              <span className="small quiet">{t.searched(count(past.searched))}</span>
            </>
          )}
        </div>
      )}
    </>
  )
}
