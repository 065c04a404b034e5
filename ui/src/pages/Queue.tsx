import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import type { components } from '../api/schema'
import { count, duration, percent, rate, span } from '../format'
import { readQueue, readSettings, resumeQueue, testAndResume } from '../jobs/api'
import { JobList } from '../jobs/JobList'
import { countOf, STATES, tabOf } from '../jobs/states'
import { WhyBand } from '../jobs/WhyBand'
import { called } from '../overview/providers'
import { USUAL } from '../overview/window'
import { useBreakers } from '../dead/desk'
import { ActButton } from '../parts/ActButton'
import { Glyph, Icon } from '../parts/Icon'
import { Above, PageTop } from '../parts/PageTop'
import { ProblemError } from '../api/client'
import { useMay } from '../api/session'
import { useAct } from '../parts/useAct'
import { useEvery } from '../parts/useEvery'
import { QueueActions } from '../queues/QueueActions'
import { QueueCharts } from '../queues/QueueCharts'
import { QueueSide } from '../queues/QueueSide'
import { readSearch } from '../queues/search'
import { condition, drained, drainedSays, oldestOf, queuedOf } from '../queues/trouble'
import { type Slow, slowBecause } from '../queues/why'
import { SkeletonRows } from '../parts/Skeleton'
import { texts } from '../texts'

const t = texts.queue

type QueueRow = components['schemas']['QueueRow']

/** States that are listed in the order in which their jobs run; of the others the newest come first. */
const NEXT_FIRST = ['waiting', 'active', 'delayed', 'waiting-children']

export function Queue() {
  const { queue } = useParams({ from: '/queues/$queue' })
  const search = useSearch({ from: '/queues/$queue' })
  const navigate = useNavigate({ from: '/queues/$queue' })
  const row = useQuery({ queryKey: ['queue', queue], queryFn: () => readQueue(queue), refetchInterval: useEvery(2_000) })
  const settings = useQuery({ queryKey: ['settings', queue], queryFn: () => readSettings(queue), refetchInterval: useEvery(5_000) })
  const state = search.state ?? 'waiting'
  const holds = Object.keys(row.data?.held ?? {}).length > 0
  const breakers = useBreakers(holds).data
  const slow = row.data ? slowBecause(row.data, settings.data, breakers, row.dataUpdatedAt / 1000) : null
  const objective = row.data?.objective.age ?? Infinity
  const behind = (row.data?.oldestWaitingSeconds ?? 0) > objective
  if (row.error instanceof ProblemError && row.error.status === 404) return <Unknown queue={queue} />
  return (
    <>
      <PageTop query={row}>
        <Crumbs queue={queue} />
      </PageTop>
      <div className="pagehead" inert={row.error != null}>
        <div>
          <h1>
            {queue} {row.data && <Sign row={row.data} />}
          </h1>
          <p className="lead">{row.data ? lead(row.data) : ' '}</p>
        </div>
        {row.data && <QueueActions row={row.data} />}
      </div>
      {slow && <Why queue={queue} slow={slow} />}
      {row.data && <Facts row={row.data} />}
      {row.isPending && (
        <div className="over">
          <SkeletonRows />
        </div>
      )}
      <div className={row.isPending ? 'settling' : undefined}>
        <div className="split">
          <QueueCharts queue={queue} objective={objective} behind={behind} />
          {settings.data ? <QueueSide settings={settings.data} at={settings.dataUpdatedAt / 1000} held={row.data?.held ?? {}} /> : <aside />}
        </div>
        <nav className="tabs" aria-label={t.byState}>
          {STATES.map((one) => {
            const jobs = row.data ? countOf(one, row.data.states) : null
            const tab = tabOf(one, row.data?.states['held'] ?? 0)
            return (
              <Link
                key={one.key}
                to="/queues/$queue"
                params={{ queue }}
                search={one.key === state ? search : { ...(search.q ? { q: search.q } : {}), ...(one.key === 'waiting' ? {} : { state: one.key }) }}
                resetScroll={false}
                activeOptions={{ exact: true, includeSearch: true }}
              >
                <Glyph name={tab.glyph} className={jobs ? `is-${tab.tone}` : 'quiet'} />
                {tab.name} <b>{jobs == null ? '' : count(jobs)}</b>
              </Link>
            )
          })}
        </nav>
        <JobList
          queue={queue}
          state={state}
          text={search.q ?? ''}
          held={row.data?.states['held'] ?? 0}
          oldest={search.oldest ?? NEXT_FIRST.includes(state)}
          onChange={({ q, oldest }) =>
            void navigate({
              search: () => readSearch({ ...search, ...(q === undefined ? {} : { q }), ...(oldest === undefined ? {} : { oldest }) }),
              replace: true,
              resetScroll: false,
            })
          }
        />
      </div>
    </>
  )
}

function Crumbs({ queue }: { queue: string }) {
  return (
    <>
      <Link className="hide-narrow" to="/">
        {t.queues}
      </Link>
      <Above />
      <span>{queue}</span>
    </>
  )
}

/** The page goes on asking, so that it is the queue's as soon as there is one. */
function Unknown({ queue }: { queue: string }) {
  return (
    <>
      <PageTop>
        <Crumbs queue={queue} />
      </PageTop>
      <div className="empty">
        <h1>{t.unknown.title(queue)}</h1>
        <p>{t.unknown.says}</p>
        <Link className="btn" to="/">
          {t.unknown.back}
        </Link>
      </div>
    </>
  )
}

function lead(row: QueueRow): string {
  const names = Object.keys(row.names).sort()
  return `${[row.workers === 0 ? t.nobodyServes : t.workersServe(count(row.workers)), names.length > 0 && t.latelyRan(names)].filter(Boolean).join(', ')}.`
}

function Sign({ row }: { row: QueueRow }) {
  const now = condition({ row })
  if (now.level === 'calm') return null
  const word = row.paused ? t.paused : Object.keys(row.held).length ? t.held : row.workers === 0 ? t.noWorker : now.level === 'watch' ? t.watch : t.behind
  return (
    <span className={`pill ${row.paused ? 'paused' : now.level === 'trouble' ? 'failed' : 'limited'}`}>
      <Glyph name={row.paused ? 'paused' : now.glyph} />
      {word}
    </span>
  )
}

function Why({ queue, slow }: { queue: string; slow: Slow }) {
  const { act, busy } = useAct()
  const may = useMay('operate')
  const { repair } = slow
  return (
    <WhyBand level={slow.level} icon={repair?.kind === 'resume' ? 'pause' : repair ? 'held' : 'clock'} says={slow.says} more={slow.more}>
      {may && repair && (
        <ActButton
          className="btn primary"
          busy={busy}
          onClick={() =>
            act(
              repair.kind === 'resume'
                ? { run: () => resumeQueue(queue), done: t.runs(queue) }
                : { run: () => testAndResume(repair.name), done: t.resumed(called(repair.name)) },
            )
          }
        >
          <Icon name="play" />
          {repair.kind === 'resume' ? t.resume : t.testAndResume}
        </ActButton>
      )}
    </WhyBand>
  )
}

function Facts({ row }: { row: QueueRow }) {
  const { recent, states } = row
  const oldest = oldestOf(row)
  const held = states['held'] ?? 0
  const drain = drained(row)
  return (
    <dl className="facts">
      <div>
        <dt>{t.facts.waiting}</dt>
        <dd>
          {count(queuedOf(states))}
          {held > 0 && <small> {t.facts.held(count(held), held === queuedOf(states))}</small>}
        </dd>
      </div>
      <div>
        <dt>{t.facts.oldest(span(row.objective.age))}</dt>
        <dd className={oldest > row.objective.age ? 'is-failed' : ''}>{oldest ? duration(oldest) : t.facts.none}</dd>
      </div>
      <div>
        <dt>{t.facts.in}</dt>
        <dd>
          {rate(recent.arrived / recent.windowSeconds)}
          <small> {t.facts.perSecond}</small>
        </dd>
      </div>
      <div>
        <dt>{t.facts.out}</dt>
        <dd>
          {rate(recent.perSecond)}
          <small> {t.facts.perSecond}</small>
        </dd>
      </div>
      <div>
        <dt>{t.facts.runTime}</dt>
        <dd>
          {duration(recent.runP95)} {recent.runP50 != null && <small>{t.facts.p50(duration(recent.runP50))}</small>}
        </dd>
      </div>
      <div className="col-wide">
        <dt>{t.facts.failed(USUAL)}</dt>
        <dd>{percent(recent.failureRate)}</dd>
      </div>
      <div className="col-wide">
        <dt>{t.facts.drainedIn}</dt>
        <dd className={drain.kind === 'never' && drain.bad ? 'is-failed' : ''}>{drainedSays(drain)}</dd>
      </div>
    </dl>
  )
}
