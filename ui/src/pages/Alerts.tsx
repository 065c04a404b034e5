import { useMutation, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { ALERTS, useAlertActions } from '../alerts/actions'
import { firing, watch } from '../alerts/alerts'
import { Now } from '../alerts/Now'
import { Channels, PastAlerts, Rules } from '../alerts/Tables'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { count, duration } from '../format'
import { ActButton } from '../parts/ActButton'
import { Glyph, Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { Tabs } from '../parts/Tabs'
import { useEvery } from '../parts/useEvery'
import { texts } from '../texts'

const TABS = ['now', 'history', 'rules', 'channels'] as const
const said = texts.alerts

export function Alerts() {
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')), refetchInterval: useEvery(5_000) })
  const actions = useAlertActions()
  const off = !useMay('operate')
  const search: { tab?: string } = useSearch({ strict: false })
  const navigate = useNavigate()
  const tab = TABS.find((one) => one === search.tab) ?? 'now'
  const setTab = (tab: (typeof TABS)[number]) => void navigate({ to: '/alerts', search: tab === 'now' ? {} : { tab }, replace: true })
  const tried = useMutation({ mutationFn: () => answered(api.POST('/api/v1/alerts/test')) })
  const now = alerts.data
  const looked = now && watch(now, Date.now() / 1000)
  const fires = now ? firing(now.alerts) : 0
  return (
    <>
      <PageTop query={alerts}>{said.title}</PageTop>
      {looked?.bad && (
        <div className="banner stale" role="alert">
          <Icon name="alerts" />
          <p>{looked.says}</p>
        </div>
      )}
      <div className="pagehead">
        <div>
          <h1>
            {said.title} {now && <span className={fires ? 'is-failed light' : 'quiet light'}>{fires ? said.firing(count(fires)) : said.noneFiring}</span>}
          </h1>
          <p className="lead">{looked && !looked.bad && looked.says}</p>
        </div>
        {!off && (
          <div className="btn-row">
            <ActButton className="btn" busy={tried.isPending} onClick={() => tried.mutate()}>
              {tried.isPending ? said.testing : said.test}
            </ActButton>
          </div>
        )}
      </div>
      {tried.isError && <p className="pad is-failed" role="alert">{tried.error.message}</p>}
      {tried.data && (
        <ul className="pad tried" role="status">
          {tried.data.length === 0 && <li className="quiet">{said.noChannelSet}</li>}
          {tried.data.map((one) => (
            <li key={one.channel}>
              <Glyph name={one.error ? 'failed' : 'completed'} className={one.error ? 'is-failed' : 'is-completed'} />{' '}
              <b className="strong">{one.channel}</b> {one.error || said.tookIt(duration(one.seconds))}
            </li>
          ))}
        </ul>
      )}
      <Tabs
        label={said.title}
        tabs={TABS.map((one) => ({ key: one, name: said.tabs[one], count: one === 'now' ? now?.alerts.length : one === 'channels' ? now?.channels.length : undefined }))}
        current={tab}
        onChange={setTab}
      >
        {now && tab === 'now' && <Now now={now} judged={!looked?.bad} off={off} actions={actions} />}
        {tab === 'history' && <PastAlerts />}
        {tab === 'rules' && <Rules />}
        {now && tab === 'channels' && <Channels channels={now.channels} />}
      </Tabs>
    </>
  )
}
