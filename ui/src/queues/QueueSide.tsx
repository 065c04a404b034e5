import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { count, duration, span } from '../format'
import { called } from '../overview/providers'
import { type QueueSettings, readWorkers, releaseRate } from '../jobs/api'
import { ActButton } from '../parts/ActButton'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { useAct } from '../parts/useAct'
import { useEvery } from '../parts/useEvery'
import { useNow } from '../parts/useNow'
import { texts } from '../texts'
import { EditLimits } from './EditLimits'
import { Groups } from './Groups'
import { Section } from './Section'

const t = texts.queue

interface Props {
  settings: QueueSettings
  /** When they were read, epoch seconds. */
  at: number
  held: Record<string, number>
}

/** Limits, who shares the queue, who serves it, what holds for its jobs, and how long they are kept. */
export function QueueSide({ settings, at, held }: Props) {
  const [editing, setEditing] = useState(false)
  // On a narrow screen all of it is behind one line.
  const [open, setOpen] = useState(false)
  const may = useMay('operate')
  const rate = settings.rate ?? settings.declaredRate
  return (
    <aside className={`aside fold ${open ? 'open' : ''}`}>
      <button className="fold-row bare" aria-expanded={open} onClick={() => setOpen(!open)}>
        {t.sideFold}
        <Icon name="down" />
      </button>
      <Section
        title={t.limits}
        right={
          may && (
            <ActButton className="bare link small" onClick={() => setEditing(true)}>
              {t.edit}
            </ActButton>
          )
        }
      >
        <dl className="kv">
          <dt>{t.concurrency}</dt>
          <dd>{settings.concurrency == null ? <span className="quiet">{t.noneOverAll}</span> : t.overAll(count(settings.concurrency))}</dd>
          <dt>{t.rateLimit}</dt>
          <dd>
            {rate ? t.rate(count(rate.jobs), span(rate.per)) : <span className="quiet">{t.none}</span>}
            {settings.rateLimitedFor > 0 && <Countdown queue={settings.queue} until={at + settings.rateLimitedFor} may={may} />}
          </dd>
          {settings.declared && (
            <>
              <dt>{t.timeout}</dt>
              <dd>{settings.timeout == null ? t.none : t.anAttempt(span(settings.timeout))}</dd>
              <dt>{t.priority}</dt>
              <dd>{settings.priority || t.none}</dd>
              <dt>{t.attempts}</dt>
              <dd>{settings.attempts > 1 ? `${settings.attempts}, ${settings.waits}` : settings.attempts}</dd>
            </>
          )}
        </dl>
      </Section>
      {Object.keys(held).length > 0 && (
        <Section title={t.providers}>
          <dl className="kv">
            {Object.entries(held).map(([name, jobs]) => (
              <Held key={name} name={name} jobs={jobs} />
            ))}
          </dl>
        </Section>
      )}
      <Groups queue={settings.queue} />
      <Serving queue={settings.queue} />
      <Section title={t.kept}>
        <dl className="kv">
          <dt>{t.keptCompleted}</dt>
          <dd>{kept(settings.keepCompleted)}</dd>
          <dt>{t.keptFailed}</dt>
          <dd>{kept(settings.keepFailed)}</dd>
          {settings.writtenBy && (
            <>
              <dt>{t.writtenBy}</dt>
              <dd>{settings.writtenBy}</dd>
            </>
          )}
        </dl>
        {settings.oldClients && <p className="note-box above is-limited">{t.oldClient(settings.oldClients)}</p>}
      </Section>
      {editing && <EditLimits settings={settings} onClose={() => setEditing(false)} />}
    </aside>
  )
}

/** Until the rate limit lets the next job start, counted down; and a new window now. */
function Countdown({ queue, until, may }: { queue: string; until: number; may: boolean }) {
  const rest = until - useNow()
  const { act, busy } = useAct()
  if (rest <= 0) return null
  return (
    <span className="below-line is-limited">
      {t.usedUp(duration(Math.ceil(rest)))}{' '}
      {may && (
        <ActButton className="bare link small" busy={busy} onClick={() => act({ run: () => releaseRate(queue), done: t.released })}>
          {t.release}
        </ActButton>
      )}
    </span>
  )
}

function Held({ name, jobs }: { name: string; jobs: number }) {
  return (
    <>
      <dt>{called(name)}</dt>
      <dd className="is-failed">{t.holds(count(jobs))}</dd>
    </>
  )
}

/** The worker processes that serve this queue: where they are and since when. */
function Serving({ queue }: { queue: string }) {
  const workers = useQuery({ queryKey: ['workers'], queryFn: readWorkers, refetchInterval: useEvery(10_000) })
  const serving = (workers.data?.workers ?? []).filter((worker) => worker.queues.includes(queue))
  if (!workers.data) return null
  return (
    <Section title={t.workers}>
      {serving.length === 0 ? (
        <p className="small quiet">{t.noneServes}</p>
      ) : (
        <ul className="side-list">
          {serving.map((worker) => {
            const place = worker.places.find((one) => one.queue === queue)
            return (
              <li key={worker.name}>
                <span className="ellipsis" title={worker.name}>
                  {worker.name} <span className="quiet small">{t.workerSince(worker.host, duration(workers.data.at - worker.startedAt))}</span>
                </span>
                <span className="num quiet">
                  {worker.quiet && `${t.quiet} · `}
                  {t.slots(count(place?.busy ?? worker.busy), count(place?.slots ?? worker.slots))}
                </span>
              </li>
            )
          })}
        </ul>
      )}
    </Section>
  )
}

function kept({ count: most, age }: QueueSettings['keepFailed']): string {
  if (most === 0) return t.notKept
  const parts = [age == null ? null : span(age), most == null ? null : t.atMost(count(most))].filter(Boolean)
  return parts.join(', ') || t.forEver
}
