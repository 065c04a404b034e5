import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { count, duration, span } from '../format'
import { Glyph } from '../parts/Icon'
import { Staleness } from '../parts/Staleness'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'
import { type Channel, condition } from './alerts'

const said = texts.alerts

/** What fired and what was resolved, the newest first. */
export function PastAlerts() {
  const past = useQuery({
    queryKey: ['alerts-history'],
    queryFn: () => answered(api.GET('/api/v1/alerts/history', { params: { query: { count: 200 } } })),
    refetchInterval: useEvery(10_000),
  })
  const keys = (past.data ?? []).map((event, at) => `${event.at} ${event.rule} ${event.subject} ${at}`)
  const cursor = useCursor(keys)
  if (past.data?.length === 0) {
    return (
      <div className="empty">
        <h2>{said.pastTitle}</h2>
        <p>{said.past}</p>
      </div>
    )
  }
  return (
    <>
      <Staleness of={past} />
      <table className="table rows">
        <thead>
          <tr>
            <th>{said.when}</th>
            <th>{said.what}</th>
            <th>{said.of}</th>
            <th className="num">{said.lasted}</th>
          </tr>
        </thead>
        <tbody>
          {past.data?.map((event, at) => (
            <tr key={keys[at]} {...cursor.row(keys[at]!)}>
              <td data-l={said.when}>
                <Time at={event.at} />
              </td>
              <td className="full says">
                <span className="qname">
                  <Glyph name={event.kind === 'fired' ? 'alert' : 'completed'} className={event.kind === 'fired' ? 'is-failed' : 'is-completed'} />
                  <span>
                    {event.kind === 'fired' ? said.fired(event.summary) : said.resolved(event.summary)}
                  </span>
                  {event.silenced && <span className="second">{said.silenced}</span>}
                </span>
              </td>
              <td data-l={said.of} className="two">
                {event.subject}
                <span className="second">{event.rule}</span>
              </td>
              <td className="num" data-l={said.lasted}>
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
  const cursor = useCursor((rules.data ?? []).map((rule) => rule.name))
  return (
    <>
      <Staleness of={rules} />
      <p className="pad head small quiet">{said.limitsFrom}</p>
      <table className="table rows">
        <thead>
          <tr>
            <th>{said.rule}</th>
            <th>{said.fires}</th>
            <th>{said.severity}</th>
            <th>{said.toldAgain}</th>
          </tr>
        </thead>
        <tbody>
          {rules.data?.map((rule) => (
            <tr key={rule.name} {...cursor.row(rule.name)}>
              <td className="full says">
                <b className="strong">{rule.title}</b>
                <span className="second">
                  {said.ofEach(rule.name, rule.about)}
                </span>
              </td>
              <td data-l={said.fires} className="two">
                {rule.limits.enabled ? condition(rule) : <span className="quiet">{said.off}</span>}
                {Object.entries(rule.only).map(([subject, limits]) => (
                  <span className="second" key={subject}>
                    {said.only(subject, limits.enabled ? condition(rule, limits) : said.off)}
                  </span>
                ))}
              </td>
              <td data-l={said.severity}>{rule.limits.severity}</td>
              <td data-l={said.toldAgain}>
                {rule.limits.repeatSeconds && rule.limits.severity === 'critical' ? said.every(span(rule.limits.repeatSeconds)) : <span className="quiet">{said.no}</span>}
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
        <h2>{said.noChannelTitle}</h2>
        <p>{said.noChannel}</p>
      </div>
    )
  }
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>{said.channel}</th>
          <th className="num">{said.sent}</th>
          <th className="num">{said.toBeSent}</th>
          <th className="num">{said.givenUp}</th>
          <th className="num">{said.last}</th>
        </tr>
      </thead>
      <tbody>
        {channels.map((channel) => (
          <tr key={channel.name} className={channel.error ? 'trouble' : ''}>
            <td className="full">
              <b className="strong">{channel.name}</b>
              {channel.error && (
                <span className="second is-failed">
                  {channel.error} {channel.failedAt && <Time at={channel.failedAt} relative />}
                </span>
              )}
            </td>
            <td className="num" data-l={said.sent}>{count(channel.sent)}</td>
            <td className="num" data-l={said.toBeSent}>{count(channel.waiting)}</td>
            <td className="num" data-l={said.givenUp}>{count(channel.givenUp)}</td>
            <td className="num" data-l={said.last}>{channel.sentAt ? <Time at={channel.sentAt} relative /> : <span className="quiet">–</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
