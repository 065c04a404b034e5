import { useQuery } from '@tanstack/react-query'
import { ALERTS, useAlertActions } from '../alerts/actions'
import { whoOf } from '../alerts/alerts'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { ago, count, exact } from '../format'
import { ActButton } from '../parts/ActButton'
import { Time } from '../parts/Time'
import { texts } from '../texts'
import { type BandAlerts, bandAlerts } from './bandAlerts'
import type { Incident } from './incident'

const say = texts.overview.incident

/** The alerts that a band is about. The shell reads them anyway, so this is no request more. */
export function useBandAlerts(incident: Incident): BandAlerts | null {
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')) }).data
  return alerts ? bandAlerts(incident, alerts.alerts) : null
}

/** Since when, what fires and who was told; then who has it in hand, or the button to take it. */
export function BandNews({ since, about, off }: { since?: number; about: BandAlerts | null; off: boolean }) {
  const may = useMay('operate')
  const { acknowledge, unacknowledge } = useAlertActions()
  const inHand = about?.inHand
  return (
    <span className="meta">
      {since !== undefined && (
        <>
          {say.since} <Time at={since} />
        </>
      )}
      {about && !inHand && say.firing(count(about.firing.length), about.firing.length === 1)}
      {about?.toldAt !== undefined && !inHand && (
        <>
          {say.told} <Time at={about.toldAt} />
        </>
      )}
      {inHand && (
        <span title={exact(inHand.at)}>{say.separated(texts.alerts.acknowledgedBy(whoOf(inHand.by), ago(inHand.at), inHand.note))}</span>
      )}
      {about && may && (
        <ActButton
          className="btn sm ack"
          disabled={off}
          onClick={() => void (inHand ? unacknowledge(about.firing) : acknowledge(about.firing.filter((one) => !one.acknowledged)))}
        >
          {inHand ? texts.alerts.unacknowledge : texts.alerts.acknowledge}
        </ActButton>
      )}
    </span>
  )
}
