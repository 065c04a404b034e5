import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ALERTS, useAlertActions } from '../alerts/actions'
import { firing, watch } from '../alerts/alerts'
import { Now } from '../alerts/Now'
import { Channels, PastAlerts, Rules } from '../alerts/Tables'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { count, duration } from '../format'
import { Glyph, Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { useEvery } from '../parts/useEvery'

const TABS = ['now', 'history', 'rules', 'channels'] as const
const NAMES = { now: 'Now', history: 'History', rules: 'Rules', channels: 'Channels' } as const

export function Alerts() {
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')), refetchInterval: useEvery(5_000) })
  const actions = useAlertActions()
  const off = !useMay('operate') || alerts.isError
  const [tab, setTab] = useState<(typeof TABS)[number]>('now')
  const tried = useMutation({ mutationFn: () => answered(api.POST('/api/v1/alerts/test')) })
  const now = alerts.data
  const looked = now && watch(now, Date.now() / 1000)
  const fires = now ? firing(now.alerts) : 0
  return (
    <>
      <PageTop query={alerts}>Alerts</PageTop>
      {looked?.bad && (
        <div className="banner stale" role="alert">
          <Icon name="alerts" />
          {looked.says}
        </div>
      )}
      <div className="pagehead">
        <div>
          <h1>
            Alerts {now && <span className={fires ? 'is-failed light' : 'quiet light'}>{fires ? `${count(fires)} firing` : 'none firing'}</span>}
          </h1>
          <p className="lead">{looked && !looked.bad && looked.says}</p>
        </div>
        {!off && (
          <div className="btn-row">
            <button className="btn" disabled={tried.isPending} onClick={() => tried.mutate()}>
              {tried.isPending ? 'Sending a test' : 'Test the channels'}
            </button>
          </div>
        )}
      </div>
      {tried.isError && <p className="pad is-failed" role="alert">{tried.error.message}</p>}
      {tried.data && (
        <ul className="pad tried" role="status">
          {tried.data.length === 0 && <li className="quiet">No channel is set: CORRAL_ALERT_TO is empty where the dashboard runs.</li>}
          {tried.data.map((one) => (
            <li key={one.channel}>
              <Glyph name={one.error ? 'failed' : 'completed'} className={one.error ? 'is-failed' : 'is-completed'} />{' '}
              <b className="strong">{one.channel}</b> {one.error || `took it in ${duration(one.seconds)}`}
            </li>
          ))}
        </ul>
      )}
      <div className="tabs" role="tablist" aria-label="Alerts">
        {TABS.map((one) => (
          <button key={one} role="tab" aria-selected={one === tab} onClick={() => setTab(one)}>
            {NAMES[one]} {one === 'now' && now && <b>{count(now.alerts.length)}</b>}
            {one === 'channels' && now && <b>{count(now.channels.length)}</b>}
          </button>
        ))}
      </div>
      {now && tab === 'now' && <Now now={now} off={off} actions={actions} />}
      {tab === 'history' && <PastAlerts />}
      {tab === 'rules' && <Rules />}
      {now && tab === 'channels' && <Channels channels={now.channels} />}
    </>
  )
}
