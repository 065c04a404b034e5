import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useSearch } from '@tanstack/react-router'
import { useDeferredValue, useMemo, useState } from 'react'
import { ALERTS } from '../alerts/actions'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { useDesk } from '../dead/desk'
import { count } from '../format'
import { DepthChart } from '../overview/DepthChart'
import { Facts } from '../overview/Facts'
import { delimiterOf, DELIMITERS, rowsOf } from '../overview/groups'
import { incidents } from '../overview/incident'
import { IncidentBand } from '../overview/IncidentBand'
import { Lately } from '../overview/Lately'
import { QueueTable } from '../overview/QueueTable'
import { useGroups } from '../overview/useGroups'
import { type Minutes, USUAL } from '../overview/window'
import { WindowSwitch } from '../overview/WindowSwitch'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { useDelayed } from '../parts/useDelayed'
import { useEvery } from '../parts/useEvery'
import { useStillOrder } from '../parts/useStillOrder'
import { type Change, useChanges } from '../queues/marks'
import { worstFirst } from '../queues/trouble'
import { texts } from '../texts'

type Overview = components['schemas']['Overview']

const say = texts.overview

/** Queues from which on a list is searched rather than read. */
const SEARCHED = 6

/** How long rows wait for what stands above them. */
const DECIDED_MS = 600

/** minutes: how far back rates go. The shell asks for the usual ones, and whoever does shares the answer. */
export function useOverview(every = 2_000, minutes: Minutes = USUAL) {
  const usual = useEvery(every)
  return useQuery({
    queryKey: minutes === USUAL ? ['overview'] : ['overview', minutes],
    queryFn: () => answered(api.GET('/api/v1/overview', minutes === USUAL ? {} : { params: { query: { minutes } } })),
    // Queues that are still looked for are there within seconds.
    refetchInterval: ({ state }) => (state.data?.whole === false ? 1_000 : usual),
    placeholderData: keepPreviousData,
  })
}

export function Overview() {
  const { minutes = USUAL } = useSearch({ from: '/' })
  const overview = useOverview(2_000, minutes)
  // What is wrong is decided by the last minutes, whatever the table shows. The shell has read them.
  const usual = useOverview(10_000).data
  const dead = useDesk()
  const changes = useChanges(1)
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')) })
  // What stands above the rows is decided before they are shown, so that nothing moves them; for a while only.
  const deciding = [dead, changes, alerts].some((one) => one.isPending)
  const undecided = useDelayed(deciding && overview.data !== undefined, DECIDED_MS)
  const data = deciding && !undecided ? undefined : overview.data
  return (
    <>
      <PageTop query={overview}>{say.title}</PageTop>
      {!data && !overview.isError && <SkeletonRows />}
      {data && usual && <IncidentBand incidents={incidents(usual, dead.data, changes.data?.changes)} off={overview.isError} />}
      {data && !data.whole && <p className="quiet" role="status">{say.notWhole}</p>}
      {data && <Facts queues={data.queues} workers={data.workers} leftBehind={data.leftBehind} memory={data.server?.memoryBytes} />}
      {data && <Queues data={data} minutes={minutes} />}
    </>
  )
}

function Queues({ data, minutes }: { data: Overview; minutes: Minutes }) {
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text.trim().toLowerCase())
  const groups = useGroups()
  const alerts = useAlertsByQueue(data.at)
  const worst = useMemo(() => worstFirst(data.queues), [data.queues])
  const { shown: queues, hold } = useStillOrder(worst, (queue) => queue.row.queue)
  const found = wanted ? queues.filter((queue) => queue.row.queue.toLowerCase().includes(wanted)) : queues
  const delimiter = delimiterOf(data.queues.map((queue) => queue.row.queue), groups.delimiter)
  if (queues.length === 0) {
    if (!data.whole) return null
    return (
      <div className="empty">
        <h3>{say.none.title}</h3>
        <p>{say.none.says}</p>
      </div>
    )
  }
  return (
    <>
      <div className="pad head" id="queues">
        <h2>{say.queues}</h2>
        <span className="small quiet">{wanted ? say.shown(count(found.length), count(queues.length)) : say.worstFirst}</span>
        <div className="right list-tools">
          {queues.length >= SEARCHED && (
            <>
              <input className="input small-input" type="search" placeholder={say.find} aria-label={say.find} value={text} onChange={(event) => setText(event.target.value)} />
              <select className="input small-select" aria-label={say.group.label} value={delimiter} onChange={(event) => groups.choose(event.target.value)}>
                <option value="">{say.group.none}</option>
                {DELIMITERS.map((one) => (
                  <option key={one} value={one}>
                    {say.group.by(one)}
                  </option>
                ))}
              </select>
            </>
          )}
          <WindowSwitch minutes={minutes} />
        </div>
      </div>
      {found.length === 0 && <p className="pad quiet no-match">{say.noMatch(text.trim())}</p>}
      {found.length > 0 && (
        <QueueTable
          rows={rowsOf(found, wanted ? '' : delimiter, groups.closed)}
          minutes={minutes}
          alertAt={(queue) => alerts.get(queue) ?? null}
          onTurn={groups.turn}
          hold={hold}
        />
      )}
      <div className="split">
        <DepthChart queues={queues} at={data.at} />
        <Lately />
      </div>
    </>
  )
}

/** Where in the last hour (0 to 1) an alert about a queue fired last. */
function useAlertsByQueue(now: number): Map<string, number> {
  const changes = useChanges(1).data?.changes
  const fired = (changes ?? []).filter((change: Change) => change.kind === 'fired' && change.at > now - 3_600)
  return new Map(fired.reverse().map((change) => [change.subject, Math.min(1, 1 - (now - change.at) / 3_600)]))
}
