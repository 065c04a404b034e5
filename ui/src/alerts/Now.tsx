import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { duration } from '../format'
import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import type { useAlertActions } from './actions'
import { type Alert, type AlertsNow, ANY, leadsTo, sign, worstFirst } from './alerts'
import { SilenceDialog } from './SilenceDialog'

interface Props {
  now: AlertsNow
  off: boolean
  actions: ReturnType<typeof useAlertActions>
}

/** What fires or is about to, and what is kept silent. */
export function Now({ now, off, actions }: Props) {
  const [asking, setAsking] = useState<Alert | null>(null)
  return (
    <>
      {now.alerts.length === 0 ? (
        <div className="empty">
          <h3>Nothing fires</h3>
          <p>Every rule finds its limits kept. What fired before is in the history.</p>
        </div>
      ) : (
        <table className="table rows">
          <thead>
            <tr>
              <th>Alert</th>
              <th>Of</th>
              <th>Since</th>
              <th>Told</th>
              <th>
                <span className="sr">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {worstFirst(now.alerts).map((alert) => {
              const { glyph, tone, word } = sign(alert)
              const level = alert.silenced || alert.state !== 'firing' ? '' : alert.severity === 'critical' ? 'trouble' : 'watch'
              const there = leadsTo(alert)
              return (
                <tr key={`${alert.rule} ${alert.subject}`} className={level}>
                  <td className="full says">
                    <span className="qname">
                      <Glyph name={glyph} className={tone} />
                      <span>
                        <b>{alert.summary}</b>
                      </span>
                      <span className="second">
                        <span className={tone}>{word}</span> · {alert.advice}
                      </span>
                    </span>
                  </td>
                  <td data-l="Of" className="two">
                    {alert.subject}
                    <span className="second">{alert.rule}</span>
                  </td>
                  <td data-l="Since">
                    <Time at={alert.firedAt ?? alert.since} relative />
                  </td>
                  <td data-l="Told">{alert.toldAt ? <Time at={alert.toldAt} /> : <span className="quiet">nobody</span>}</td>
                  <td className="num act">
                    <div className="btn-row">
                      {there && (
                        <Link className="btn sm" to={there.to} search={there.queue ? { queue: there.queue } : {}}>
                          {there.name}
                        </Link>
                      )}
                      {!off && !alert.silenced && (
                        <button className="btn sm" onClick={() => setAsking(alert)}>
                          Silence…
                        </button>
                      )}
                    </div>
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      )}
      {now.silences.length > 0 && (
        <section aria-label="Silences">
          <div className="pad head">
            <h2>Silences</h2>
            <span className="small quiet">judged, not told</span>
          </div>
          <table className="table rows">
            <tbody>
              {now.silences.map((silence) => (
                <tr key={silence.id}>
                  <td className="full">
                    <b className="strong">
                      {silence.rule === ANY ? 'every rule' : silence.rule} of {silence.subject === ANY ? 'everything' : silence.subject}
                    </b>
                    <span className="second">{silence.reason}</span>
                  </td>
                  <td data-l="Left">{duration(Math.max(0, silence.until - Date.now() / 1000))} left</td>
                  <td data-l="By">{silence.by.replace(/^user:/, '')}</td>
                  <td className="num">
                    {!off && (
                      <button className="btn sm" onClick={() => void actions.unsilence(silence)}>
                        End it
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {asking && (
        <SilenceDialog
          alert={asking}
          onClose={() => setAsking(null)}
          onSilence={(seconds, reason) => actions.silence(asking.rule, asking.subject, seconds, reason)}
        />
      )}
    </>
  )
}
