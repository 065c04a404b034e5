import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ALERTS } from '../alerts/actions'
import type { Alert } from '../alerts/alerts'
import { answered, api } from '../api/client'
import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { useChanges } from '../queues/marks'
import { texts } from '../texts'
import { isBeginning, told } from './changes'

const say = texts.overview

/** Newest changes that are listed; the audit log has all. */
const LISTED = 8
const FIRING = 5

/** Alerts that fire, and what changed lately: whatever went wrong, the cause is often among these. */
export function Lately() {
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')), refetchInterval: useEvery(5_000) })
  const firing = (alerts.data?.alerts.filter((alert) => alert.state === 'firing') ?? []).slice(0, FIRING)
  return (
    <div className="side">
      <Firing firing={firing} />
      <Changed firing={firing} />
    </div>
  )
}

function Firing({ firing }: { firing: Alert[] }) {
  if (firing.length === 0) return null
  return (
    <>
      <div className="head">
        <h2>{say.firing}</h2>
        <div className="right">
          <Link className="small link" to="/alerts">
            {say.allAlerts}
          </Link>
        </div>
      </div>
      <ol className="ledger">
        {firing.map((alert) => (
          <li key={`${alert.rule} ${alert.subject}`}>
            <Time at={alert.firedAt ?? alert.since} />
            <Glyph name="alert" className="is-failed" />
            <div>
              {alert.title}
              <span className="second">{alert.summary}</span>
            </div>
          </li>
        ))}
      </ol>
    </>
  )
}

/** What is said above already is not said again. */
function Changed({ firing }: { firing: Alert[] }) {
  const all = useChanges(24).data?.changes
  const changes = all?.filter((change) => !firing.some((alert) => isBeginning(change, alert)))
  return (
    <>
      <div className="head">
        <h2>{say.changed}</h2>
        <span className="small quiet">{say.lastHours}</span>
        <div className="right">
          <Link className="small link" to="/audit">
            {say.audit}
          </Link>
        </div>
      </div>
      {all?.length === 0 && <p className="small quiet">{say.nothingChanged}</p>}
      <ol className="ledger">
        {changes?.slice(0, LISTED).map((change, at) => {
          const { glyph, tone, says, more } = told(change)
          return (
            <li key={`${change.at} ${change.kind} ${change.what} ${at}`}>
              <Time at={change.at} />
              <Glyph name={glyph} className={tone} />
              <div>
                {says}
                {more && <span className="second">{more}</span>}
              </div>
            </li>
          )
        })}
      </ol>
    </>
  )
}
