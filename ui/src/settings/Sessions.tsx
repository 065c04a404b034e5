import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered } from '../api/client'
import { until } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { SkeletonRows } from '../parts/Skeleton'
import { Staleness } from '../parts/Staleness'
import { Time } from '../parts/Time'
import { failed } from '../parts/toasting'
import { texts } from '../texts'

const t = texts.settings

interface OwnSession {
  began: number
  lastUsed: number
  until: number
  here: boolean
}

function readSessions(): Promise<OwnSession[]> {
  return answered(
    fetch('/sessions').then(async (response) => {
      const told: unknown = await response.json()
      return response.ok ? { data: told as OwnSession[], response } : { error: told, response }
    }),
  )
}

async function signOutEverywhere(): Promise<void> {
  const call = fetch('/session?everywhere=true', { method: 'DELETE', headers: { 'x-corral-dashboard': '1' } })
  await answered(call.then(async (response) => (response.ok ? { data: null, response } : { error: await response.json(), response })))
  location.assign('/')
}

export function Sessions() {
  const listed = useQuery({ queryKey: ['sessions'], queryFn: readSessions, refetchInterval: 30_000 })
  const [asking, setAsking] = useState(false)
  return (
    <>
      <Staleness of={listed} />
      <div className="pad head">
        <p className="small quiet">{t.sessionsLead}</p>
        <span className="right">
          <ActButton className="btn danger" disabled={listed.isError} onClick={() => setAsking(true)}>
            {t.everywhere}
          </ActButton>
        </span>
      </div>
      {listed.isPending && <SkeletonRows rows={2} />}
      {listed.data && (
        <table className="table rows">
          <thead>
            <tr>
              <th>{t.began}</th>
              <th>{t.used}</th>
              <th>{t.until}</th>
            </tr>
          </thead>
          <tbody>
            {listed.data.map((one) => (
              <tr key={one.began}>
                <td className="full">
                  <Time at={one.began} relative /> <span className={one.here ? 'strong' : 'quiet'}>{one.here ? t.here : t.elsewhere}</span>
                </td>
                <td data-l={t.used}>
                  <Time at={one.lastUsed} relative />
                </td>
                <td data-l={t.until}>{until(one.until)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {asking && (
        <Confirm
          title={t.everywhereTitle}
          says={t.everywhereSays}
          verb={t.everywhereVerb}
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false)
            signOutEverywhere().catch((error: unknown) => failed(t.notSignedOut, error))
          }}
        />
      )}
    </>
  )
}
