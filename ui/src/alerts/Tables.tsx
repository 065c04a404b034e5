import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { count, duration } from '../format'
import { Glyph } from '../parts/Icon'
import { Staleness } from '../parts/Staleness'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { type Channel, condition } from './alerts'

/** What fired and what was resolved, the newest first. */
export function PastAlerts() {
  const past = useQuery({
    queryKey: ['alerts-history'],
    queryFn: () => answered(api.GET('/api/v1/alerts/history', { params: { query: { count: 200 } } })),
    refetchInterval: useEvery(10_000),
  })
  if (past.data?.length === 0) {
    return (
      <div className="empty">
        <h3>Nothing has fired yet</h3>
        <p>Each alert will be here, with when it fired and how long.</p>
      </div>
    )
  }
  return (
    <>
      <Staleness of={past} />
      <table className="table rows">
        <thead>
          <tr>
            <th>When</th>
            <th>What</th>
            <th>Of</th>
            <th className="num">Lasted</th>
          </tr>
        </thead>
        <tbody>
          {past.data?.map((event, at) => (
            <tr key={`${event.at} ${event.rule} ${event.subject} ${at}`}>
              <td data-l="When">
                <Time at={event.at} />
              </td>
              <td className="full says">
                <span className="qname">
                  <Glyph name={event.kind === 'fired' ? 'alert' : 'completed'} className={event.kind === 'fired' ? 'is-failed' : 'is-completed'} />
                  <span>
                    {event.kind === 'fired' ? 'Fired: ' : 'Resolved: '}
                    {event.summary}
                  </span>
                  {event.silenced && <span className="second">silenced, nobody was told</span>}
                </span>
              </td>
              <td data-l="Of" className="two">
                {event.subject}
                <span className="second">{event.rule}</span>
              </td>
              <td className="num" data-l="Lasted">
                {event.seconds === null ? <span className="quiet">–</span> : duration(event.seconds)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

/** All rules with their limits; those of single subjects below. */
export function Rules() {
  const rules = useQuery({ queryKey: ['alerts-rules'], queryFn: () => answered(api.GET('/api/v1/alerts/rules')), staleTime: 60_000 })
  return (
    <>
      <Staleness of={rules} />
      <p className="pad head small quiet">Limits are set by CORRAL_ALERT_RULES. These are the ones that the dashboard was started with.</p>
      <table className="table rows">
        <thead>
          <tr>
            <th>Rule</th>
            <th>Fires</th>
            <th>Severity</th>
            <th>Told again</th>
          </tr>
        </thead>
        <tbody>
          {rules.data?.map((rule) => (
            <tr key={rule.name}>
              <td className="full says">
                <b className="strong">{rule.title}</b>
                <span className="second">
                  {rule.name}, of each {rule.about}
                </span>
              </td>
              <td data-l="Fires" className="two">
                {rule.limits.enabled ? condition(rule) : <span className="quiet">off</span>}
                {Object.entries(rule.only).map(([subject, limits]) => (
                  <span className="second" key={subject}>
                    {subject}: {limits.enabled ? condition(rule, limits) : 'off'}
                  </span>
                ))}
              </td>
              <td data-l="Severity">{rule.limits.severity}</td>
              <td data-l="Told again">
                {rule.limits.repeatSeconds && rule.limits.severity === 'critical' ? `every ${duration(rule.limits.repeatSeconds)}` : <span className="quiet">no</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

export function Channels({ channels }: { channels: Channel[] }) {
  if (channels.length === 0) {
    return (
      <div className="empty">
        <h3>No channel has been used</h3>
        <p>
          CORRAL_ALERT_TO names where alerts are sent: Slack, PagerDuty, Alertmanager, mail, a webhook. Until then they are here and in the
          log.
        </p>
      </div>
    )
  }
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>Channel</th>
          <th className="num">Sent</th>
          <th className="num">To be sent</th>
          <th className="num">Given up</th>
          <th className="num">Last</th>
        </tr>
      </thead>
      <tbody>
        {channels.map((channel) => (
          <tr key={channel.name} className={channel.error ? 'trouble' : ''}>
            <td className="full">
              <b className="strong">{channel.name}</b>
              {channel.error && <span className="second is-failed">{channel.error}</span>}
            </td>
            <td className="num" data-l="Sent">{count(channel.sent)}</td>
            <td className="num" data-l="To be sent">{count(channel.waiting)}</td>
            <td className="num" data-l="Given up">{count(channel.givenUp)}</td>
            <td className="num" data-l="Last">{channel.sentAt ? <Time at={channel.sentAt} relative /> : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
