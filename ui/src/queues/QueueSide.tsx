import { type ReactNode, useState } from 'react'
import { count, duration, span } from '../format'
import { changeLimits, type QueueSettings } from '../jobs/api'
import { Icon } from '../parts/Icon'
import { Dialog } from '../parts/Dialog'
import { useMay } from '../parts/session'
import { useAct } from '../parts/useAct'

/** Limits, what holds for its jobs, and how long they are kept. */
export function QueueSide({ settings, held }: { settings: QueueSettings; held: Record<string, number> }) {
  const [editing, setEditing] = useState(false)
  // On a narrow screen all of it is behind one line.
  const [open, setOpen] = useState(false)
  const may = useMay('operate')
  const rate = settings.rate ?? settings.declaredRate
  return (
    <aside className={`aside fold ${open ? 'open' : ''}`}>
      <button className="fold-row bare" aria-expanded={open} onClick={() => setOpen(!open)}>
        Limits, providers, retention
        <Icon name="down" />
      </button>
      <Section
        title="Limits"
        right={
          may && (
            <button className="bare link small" onClick={() => setEditing(true)}>
              Edit
            </button>
          )
        }
      >
        <dl className="kv">
          <dt>Concurrency</dt>
          <dd>{settings.concurrency == null ? <span className="quiet">none over all workers</span> : `${count(settings.concurrency)} over all workers`}</dd>
          <dt>Rate limit</dt>
          <dd>
            {rate ? `${count(rate.jobs)} in ${span(rate.per)}` : <span className="quiet">none</span>}
            {settings.rateLimitedFor > 0 && <span className="is-limited"> used up, next in {duration(settings.rateLimitedFor)}</span>}
          </dd>
        </dl>
      </Section>
      {settings.declared && (
        <Section title="Jobs">
          <dl className="kv">
            <dt>Attempts</dt>
            <dd>{settings.attempts}</dd>
            <dt>Time-out</dt>
            <dd>{settings.timeout == null ? 'none' : `${span(settings.timeout)} an attempt`}</dd>
            <dt>Priority</dt>
            <dd>{settings.priority || 'none'}</dd>
          </dl>
        </Section>
      )}
      {Object.keys(held).length > 0 && (
        <Section title="Providers">
          <dl className="kv">
            {Object.entries(held).map(([name, jobs]) => (
              <Held key={name} name={name} jobs={jobs} />
            ))}
          </dl>
        </Section>
      )}
      <Section title="Kept">
        <dl className="kv">
          <dt>Completed</dt>
          <dd>{kept(settings.keepCompleted)}</dd>
          <dt>Dead letters</dt>
          <dd>{kept(settings.keepFailed)}</dd>
          {settings.writtenBy && (
            <>
              <dt>Written by</dt>
              <dd>{settings.writtenBy}</dd>
            </>
          )}
        </dl>
        {settings.oldClients && <p className="note-box above is-limited">A BullMQ 5 client was seen: {settings.oldClients}.</p>}
      </Section>
      {editing && <EditLimits settings={settings} onClose={() => setEditing(false)} />}
    </aside>
  )
}

function Held({ name, jobs }: { name: string; jobs: number }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="is-failed">holds {count(jobs)} jobs</dd>
    </>
  )
}

function kept({ count: most, age }: QueueSettings['keepFailed']): string {
  if (most === 0) return 'not'
  const parts = [age == null ? null : span(age), most == null ? null : `at most ${count(most)}`].filter(Boolean)
  return parts.join(', ') || 'for ever'
}

function Section({ title, right, children }: { title: string; right?: ReactNode; children: ReactNode }) {
  return (
    <div className="rail-sec">
      <div className="head">
        <h2>{title}</h2>
        <div className="right">{right}</div>
      </div>
      {children}
    </div>
  )
}

function EditLimits({ settings, onClose }: { settings: QueueSettings; onClose: () => void }) {
  const [concurrency, setConcurrency] = useState(settings.concurrency?.toString() ?? '')
  const [jobs, setJobs] = useState(settings.rate?.jobs.toString() ?? '')
  const [per, setPer] = useState((settings.rate ?? settings.declaredRate)?.per.toString() ?? '1')
  const { act, busy } = useAct()
  const { queue } = settings
  const whole = (text: string) => text === '' || (Number.isInteger(Number(text)) && Number(text) >= 1)
  const ready = whole(concurrency) && whole(jobs) && (jobs === '' || Number(per) > 0)
  const before = { concurrency: settings.concurrency, rate: settings.rate }
  const after = {
    concurrency: concurrency === '' ? null : Number(concurrency),
    rate: jobs === '' ? null : { jobs: Number(jobs), per: Number(per) },
  }
  return (
    <Dialog title={`Limits of ${queue}`} onClose={onClose}>
      <p>They hold over all workers, Node ones too, from now on. Empty: no limit.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!ready) return
          act({
            run: () => changeLimits(queue, after),
            done: `The limits of ${queue} are changed.`,
            undo: () => changeLimits(queue, before),
            then: onClose,
          })
        }}
      >
        <div className="fields">
          <label htmlFor="limit-concurrency">Jobs at once</label>
          <input id="limit-concurrency" className="input" inputMode="numeric" placeholder="any number" value={concurrency} onChange={(event) => setConcurrency(event.target.value)} />
          <label htmlFor="limit-jobs">Starts</label>
          <input id="limit-jobs" className="input" inputMode="numeric" placeholder="any number" value={jobs} onChange={(event) => setJobs(event.target.value)} />
          <label htmlFor="limit-per">in seconds</label>
          <input id="limit-per" className="input" inputMode="decimal" value={per} disabled={jobs === ''} onChange={(event) => setPer(event.target.value)} />
        </div>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            Close
          </button>
          <button className="btn primary" disabled={!ready || busy}>
            Change limits
          </button>
        </div>
      </form>
    </Dialog>
  )
}
