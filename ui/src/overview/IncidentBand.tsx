import { useQueryClient } from '@tanstack/react-query'
import { Link, useRouter } from '@tanstack/react-router'
import { Fragment, useState } from 'react'
import { answered, api, ProblemError } from '../api/client'
import { useMay } from '../api/session'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Glyph, Icon } from '../parts/Icon'
import { Time } from '../parts/Time'
import { failed, toast } from '../parts/toasting'
import { texts } from '../texts'
import { BandNews, useBandAlerts } from './BandNews'
import type { Incident } from './incident'

const say = texts.overview.incident

/** What else is wrong, by name. */
const NAMED = 3

/** What is wrong, why, and the button that repairs it. Nothing when all is well. */
export function IncidentBand({ incidents, off }: { incidents: Incident[]; off: boolean }) {
  const worst = incidents[0]
  return (
    <div role="region" aria-label={say.region} aria-live="polite">
      {worst && <Band key={`${worst.kind} ${worst.queue}`} incident={worst} others={incidents.slice(1)} off={off} />}
    </div>
  )
}

function Band({ incident, others, off }: { incident: Incident; others: Incident[]; off: boolean }) {
  const about = useBandAlerts(incident)
  const timed = incident.why.some((link) => link.at !== undefined)
  return (
    <section className={about?.inHand ? 'incident in-hand' : 'incident'} aria-labelledby="incident">
      <div className="incident-head">
        <Glyph name={incident.glyph} />
        <h1 id="incident">{incident.title}</h1>
        <BandNews since={incident.since} about={about} off={off} />
      </div>
      <div className="incident-grid">
        <div>
          <span className="label">{say.wrong}</span>
          <div className="figures">
            {incident.figures.map((figure) => (
              <div key={figure.label} className={figure.bad ? 'figure is-failed' : 'figure'}>
                <b>{figure.value}</b>
                <span>{figure.label}</span>
              </div>
            ))}
          </div>
          <p className="impact">{incident.impact}</p>
        </div>
        <div>
          <span className="label">{say.why}</span>
          <ol className={timed ? 'chain' : 'chain untimed'}>
            {incident.why.map((link) => (
              <li key={link.says} className={link.cause ? 'cause' : ''}>
                {timed && (link.at === undefined ? <span /> : <Time at={link.at} />)}
                <Glyph name={link.glyph} />
                <span>{link.says}</span>
              </li>
            ))}
          </ol>
        </div>
        <div>
          <span className="label">{say.repair}</span>
          <ol className="steps">
            {incident.first && (
              <li>
                <span>{incident.first}</span>
              </li>
            )}
            <Repair incident={incident} off={off} />
            {incident.afterwards && (
              <li>
                <Link className="btn" to="/dead" search={{ queue: incident.afterwards.queue }}>
                  <Icon name="retry" />
                  {say.retry(count(incident.afterwards.jobs), incident.afterwards.jobs === 1)}
                </Link>
              </li>
            )}
          </ol>
        </div>
      </div>
      {others.length > 0 && (
        <p className="also">
          {say.also}
          {others.slice(0, NAMED).map((other, at) => (
            <Fragment key={`${other.kind} ${other.queue} ${other.title}`}>
              {at > 0 && ' · '}
              <There incident={other} />
            </Fragment>
          ))}
          {others.length > NAMED && say.alsoMore(count(others.length - NAMED))}
        </p>
      )}
    </section>
  )
}

/** What else is wrong, as the way to it. */
function There({ incident: { queue, repair, title } }: { incident: Incident }) {
  if (repair.does === 'dead') return <Link to="/dead" search={{ queue: repair.queue, group: repair.group }}>{title}</Link>
  return <Link to="/queues/$queue" params={{ queue }} search={{}}>{title}</Link>
}

function Repair({ incident, off }: { incident: Incident; off: boolean }) {
  const { repair, brings } = incident
  const router = useRouter()
  switch (repair.does) {
    case 'resume':
      return <Resume breaker={repair.breaker} brings={brings} off={off} />
    case 'copy':
      return (
        <>
          <li>
            <code className="command">{repair.command}</code>
          </li>
          <li>
            <button className="btn primary" onClick={() => void copy(repair.command)}>
              <Icon name="copy" />
              {say.copy}
            </button>
            <span className="note">{brings}</span>
          </li>
        </>
      )
    case 'dead':
      return (
        <li>
          <Link className="btn primary" to="/dead" search={{ queue: repair.queue, group: repair.group }}>
            <Icon name="dead" />
            {say.look(count(repair.jobs), repair.jobs === 1)}
          </Link>
          <span className="note">{brings}</span>
        </li>
      )
    case 'workers':
      return (
        <li>
          <a
            className="btn primary"
            href="/workers"
            onClick={(event) => {
              event.preventDefault()
              router.history.push('/workers')
            }}
          >
            <Icon name="workers" />
            {say.workers}
          </a>
          <span className="note">{brings}</span>
        </li>
      )
  }
}

/** Asks the provider first; who knows better may resume all the same. */
function Resume({ breaker, brings, off }: { breaker: string; brings: string; off: boolean }) {
  const client = useQueryClient()
  const may = useMay('operate')
  const [busy, setBusy] = useState(false)
  const [refusal, setRefusal] = useState('')
  const name = { params: { path: { name: breaker } } }

  async function resume() {
    setBusy(true)
    try {
      const row = await answered(api.POST('/api/v1/breakers/{name}/resume', { ...name, body: {} }))
      toast({ says: say.closed(breaker), detail: say.running(row.rate) })
      await client.invalidateQueries({ queryKey: ['overview'] })
    } catch (error) {
      failed(say.notClosed(breaker), error)
    }
    setBusy(false)
  }

  async function test() {
    setBusy(true)
    setRefusal('')
    try {
      const tried = await answered(api.POST('/api/v1/breakers/{name}/test', name))
      if (tried.ok) return await resume()
      setRefusal(tried.kind === 'misconfigured' ? say.notYet(tried.reason ?? tried.kind) : say.nobodyKnows(tried.reason ?? tried.kind))
    } catch (error) {
      const untestable = error instanceof ProblemError && error.status === 422
      setRefusal(untestable ? say.untestable(breaker) : (error as Error).message)
    }
    setBusy(false)
  }

  if (!may) return <li><span>{say.askOperator}</span></li>
  return (
    <>
      <li>
        <ActButton className="btn primary" disabled={off} busy={busy} onClick={() => void test()}>
          <Icon name="play" />
          {busy ? say.testing : say.test}
        </ActButton>
        <span className="note">{brings}</span>
      </li>
      {refusal && (
        <li role="alert" className="refusal">
          <span>
            {refusal}{' '}
            <ActButton className="link plain" disabled={off} busy={busy} onClick={() => void resume()}>
              {say.resume}
            </ActButton>
          </span>
        </li>
      )}
    </>
  )
}

async function copy(text: string) {
  try {
    await navigator.clipboard.writeText(text)
    toast({ says: say.copied, detail: text })
  } catch (error) {
    failed(say.notCopied, error)
  }
}
