import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { ago, duration, exact } from '../format'
import { testAndResume } from '../jobs/api'
import { ActButton } from '../parts/ActButton'
import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import { useAct } from '../parts/useAct'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'
import type { useAlertActions } from './actions'
import { AcknowledgeDialog } from './AcknowledgeDialog'
import { type Alert, type AlertsNow, ANY, breakerOf, leadsTo, sign, whoOf, worstFirst } from './alerts'
import { SilenceDialog } from './SilenceDialog'

const said = texts.alerts

const keyOf = (alert: Alert) => `${alert.rule} ${alert.subject}`

interface Props {
  now: AlertsNow
  /** Whether somebody looks at the rules: else that nothing fires says nothing. */
  judged: boolean
  off: boolean
  actions: ReturnType<typeof useAlertActions>
}

/** What fires or is about to, and what is kept silent. */
export function Now({ now, judged, off, actions }: Props) {
  const [asking, setAsking] = useState<Alert | null>(null)
  const [taking, setTaking] = useState<Alert | null>(null)
  const alerts = worstFirst(now.alerts)
  const cursor = useCursor(alerts.map(keyOf))
  const { act, busy } = useAct()
  // One primary button a screen: what repairs the worst that nobody has in hand.
  const first = alerts[0] && !alerts[0].acknowledged && !alerts[0].silenced ? breakerOf(alerts[0]) : null
  return (
    <>
      {alerts.length === 0 ? (
        <div className="empty">
          <h2>{judged ? said.nothingTitle : said.unknownTitle}</h2>
          <p>{judged ? said.nothing : said.unknown}</p>
        </div>
      ) : (
        <table className="table rows">
          <thead>
            <tr>
              <th>{said.alert}</th>
              <th>{said.of}</th>
              <th>{said.since}</th>
              <th>{said.told}</th>
              <th>
                <span className="sr">{said.actions}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {alerts.map((alert) => {
              const { glyph, tone, word } = sign(alert)
              const level = alert.silenced || alert.acknowledged || alert.state !== 'firing' ? '' : alert.severity === 'critical' ? 'trouble' : 'watch'
              const there = leadsTo(alert)
              const breaker = breakerOf(alert)
              return (
                <tr key={keyOf(alert)} className={level} {...cursor.row(keyOf(alert))}>
                  <td className="full says">
                    <span className="qname">
                      <Glyph name={glyph} className={tone} />
                      <span>
                        <b>{alert.summary}</b>
                      </span>
                      <span className="second">
                        <span className={tone}>{word}</span> · {alert.advice}
                      </span>
                      {alert.acknowledged && (
                        <span className="second" title={exact(alert.acknowledged.at)}>
                          {said.acknowledgedBy(whoOf(alert.acknowledged.by), ago(alert.acknowledged.at), alert.acknowledged.note)}
                        </span>
                      )}
                    </span>
                  </td>
                  <td data-l={said.of} className="two">
                    {alert.subject}
                    <span className="second">{alert.rule}</span>
                  </td>
                  <td data-l={said.since}>
                    <Time at={alert.firedAt ?? alert.since} relative />
                  </td>
                  <td data-l={said.told}>{alert.toldAt ? <Time at={alert.toldAt} /> : <span className="quiet">{said.nobody}</span>}</td>
                  <td className="num act full">
                    <div className="btn-row">
                      {there && (
                        <Link className="btn sm" {...there}>
                          {there.name}
                        </Link>
                      )}
                      {!off && breaker && (
                        <ActButton
                          className={`btn sm ${breaker === first ? 'primary' : ''}`}
                          busy={busy}
                          onClick={() => act({ run: () => testAndResume(breaker), done: texts.queue.resumed(breaker) })}
                        >
                          {said.testKey}
                        </ActButton>
                      )}
                      {!off && alert.acknowledged && (
                        <ActButton className="btn sm" onClick={() => void actions.unacknowledge([alert])}>
                          {said.unacknowledge}
                        </ActButton>
                      )}
                      {!off && alert.state === 'firing' && !alert.acknowledged && (
                        <ActButton className="btn sm" onClick={() => setTaking(alert)}>
                          {said.acknowledgeWith}
                        </ActButton>
                      )}
                      {!off && !alert.silenced && (
                        <ActButton className="btn sm" onClick={() => setAsking(alert)}>
                          {said.silence}
                        </ActButton>
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
        <section aria-label={said.silences}>
          <div className="pad head">
            <h2>{said.silences}</h2>
            <span className="small quiet">{said.judgedNotTold}</span>
          </div>
          <table className="table rows">
            <tbody>
              {now.silences.map((silence) => (
                <tr key={silence.id}>
                  <td className="full">
                    <b className="strong">
                      {said.ruleOf(silence.rule === ANY ? said.everyRule : silence.rule, silence.subject === ANY ? said.everything : silence.subject)}
                    </b>
                    <span className="second">{silence.reason}</span>
                  </td>
                  <td data-l={said.left}>{said.leftOf(duration(Math.max(0, silence.until - Date.now() / 1000)))}</td>
                  <td data-l={said.by}>{whoOf(silence.by)}</td>
                  <td className="num">
                    {!off && (
                      <ActButton className="btn sm" onClick={() => void actions.unsilence(silence)}>
                        {said.end}
                      </ActButton>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {taking && (
        <AcknowledgeDialog alert={taking} onClose={() => setTaking(null)} onAcknowledge={(note) => actions.acknowledgeWith([taking], note)} />
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
