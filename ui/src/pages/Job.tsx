import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { ProblemError } from '../api/client'
import { FlowGraph } from '../flows/FlowGraph'
import { ago } from '../format'
import { type JobView, readJob, readMoments, type Revealed, revealJob, testAndResume } from '../jobs/api'
import { JobActions } from '../jobs/JobActions'
import { JobAside } from '../jobs/JobAside'
import { Logs } from '../jobs/Logs'
import { type Neighbours, neighbours } from '../jobs/neighbours'
import { StatePill } from '../jobs/StatePill'
import { Timeline } from '../jobs/Timeline'
import { total } from '../jobs/timeline'
import { WhyBand } from '../jobs/WhyBand'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Icon, type IconName } from '../parts/Icon'
import { Above, PageTop } from '../parts/PageTop'
import { useMay } from '../api/session'
import { Late } from '../parts/Skeleton'
import { failed as sayFailed } from '../parts/toasting'
import { called } from '../overview/providers'
import { useAct } from '../parts/useAct'
import { useEvery } from '../parts/useEvery'
import { useNow } from '../parts/useNow'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'

const says = texts.job

const isGone = (error: unknown) => error instanceof ProblemError && error.status === 404

export function Job() {
  const { queue, id } = useParams({ from: '/queues/$queue/jobs/$id' })
  const client = useQueryClient()
  const often = useEvery(2_000)
  const found = useQuery({
    queryKey: ['job', queue, id],
    queryFn: () => readJob(queue, id),
    refetchInterval: (query) => (isGone(query.state.error) ? 10_000 : query.state.data?.finishedAt != null ? Math.max(5_000, often) : often),
    retry: (failures, error) => failures < 1 && !isGone(error),
  })
  const job = found.data
  const gone = isGone(found.error)
  const beside = neighbours(client, queue, id)
  return (
    <>
      <PageTop query={gone ? undefined : found}>
        <Link className="hide-narrow" to="/queues/$queue" params={{ queue }}>
          {queue}
        </Link>
        <Above />
        <span className="mono">{id}</span>
        <Beside queue={queue} beside={beside} />
      </PageTop>
      {gone ? <Gone queue={queue} id={id} was={job !== undefined} /> : job ? <Shown key={`${queue}:${id}`} job={job} off={found.error != null} /> : found.isPending && <Skeleton />}
    </>
  )
}

/** To the jobs before and after this one in the list that one came from. */
function Beside({ queue, beside }: { queue: string; beside: Neighbours }) {
  const navigate = useNavigate()
  const { previous, next } = beside
  const go = (id: string) => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id } })
  useKeys({
    '[': previous !== null && { says: texts.keys.previousJob, run: () => go(previous) },
    ']': next !== null && { says: texts.keys.nextJob, run: () => go(next) },
  })
  if (!previous && !next) return null
  const step = (to: string | null, title: string, name: string) =>
    to ? (
      <Link className={`icon-btn ${name}`} title={title} aria-label={title} to="/queues/$queue/jobs/$id" params={{ queue, id: to }}>
        <Icon name="down" />
      </Link>
    ) : (
      <span className={`icon-btn ${name} off`} aria-hidden="true">
        <Icon name="down" />
      </span>
    )
  return (
    <span className="beside">
      {step(previous, says.previous, 'up')}
      {step(next, says.next, '')}
    </span>
  )
}

/** A job that is no more: what is still known of its end. */
function Gone({ queue, id, was }: { queue: string; id: string; was: boolean }) {
  const moments = useQuery({ queryKey: ['moments', queue, id], queryFn: () => readMoments(queue, id, 0) })
  const change = moments.data?.changes.findLast((one) => one.action !== 'job.reveal')
  const event = moments.data?.events.at(-1)
  const last =
    change && (!event || change.at >= event.at - 1)
      ? { what: `${(says.actions[change.action] ?? change.action).toLowerCase()} ${says.changed([], change.actor.replace(/^(user|key|cli):/, ''))}`, at: change.at }
      : event && { what: event.name, at: event.at }
  const known = was || last !== undefined
  return (
    <div className="empty">
      <h3>{known ? says.gone(id) : says.never(id, queue)}</h3>
      <p>{last ? says.lastHeard(last.what, ago(last.at, moments.data!.at)) : says.goneWhy}</p>
      <Link className="btn" to="/queues/$queue" params={{ queue }}>
        {says.jobsOf(queue)}
      </Link>
    </div>
  )
}

const REVEALED_MS = 60_000

/** What was revealed, for a minute. */
function useReveal(job: JobView) {
  const [shown, setShown] = useState<Revealed | null>(null)
  const [until, setUntil] = useState(0)
  const [asking, setAsking] = useState(false)
  useEffect(() => {
    if (!shown) return
    const timer = setTimeout(() => setShown(null), REVEALED_MS)
    return () => clearTimeout(timer)
  }, [shown])
  const reveal = async () => {
    setAsking(false)
    try {
      setShown(await revealJob(job.queue, job.id))
      setUntil((Date.now() + REVEALED_MS) / 1000)
    } catch (error) {
      sayFailed('', error)
    }
  }
  return {
    reveal: { shown, until, ask: () => setAsking(true), hide: () => setShown(null) },
    question: asking && (
      <Confirm title={says.revealTitle(job.id)} says={says.revealSays} verb={says.revealVerb} onClose={() => setAsking(false)} onConfirm={() => void reveal()} />
    ),
  }
}

function Shown({ job, off }: { job: JobView; off: boolean }) {
  // Ages count by the server's clock: what this machine's is off by goes in.
  const skew = job.at - Date.now() / 1000
  const { reveal, question } = useReveal(job)
  const moments = useQuery({
    queryKey: ['moments', job.queue, job.id],
    queryFn: () => readMoments(job.queue, job.id, job.enqueuedAt ?? 0),
    refetchInterval: job.finishedAt == null ? 5_000 : 30_000,
  })
  return (
    <>
      <div className="pagehead" inert={off}>
        <div>
          <h1>
            <span className="mono jobid">{job.id}</span> {job.name}{' '}
            <StatePill status={job.status} held={job.held} cancelling={job.cancelling !== null && job.finishedAt == null} />
          </h1>
          <p className="lead">{lead(job)}</p>
        </div>
        <JobActions job={job} />
      </div>
      <Why job={job} skew={skew} />
      <div className="split wide-side">
        <div>
          <Timeline job={job} moments={moments.data} skew={Math.abs(skew) < 5 ? 0 : skew} />
          {(job.parent || total(job) > 0) && <FlowGraph queue={job.queue} id={job.id} />}
          <Logs queue={job.queue} id={job.id} running={job.status === 'active'} />
        </div>
        <JobAside job={job} reveal={reveal} />
      </div>
      {question}
    </>
  )
}

function lead(job: JobView): string {
  return [
    job.queue,
    job.enqueuedAt != null && says.added(ago(job.enqueuedAt, job.at)),
    says.spent(job.attemptsMade, job.attempts),
    job.priority > 0 && says.priority(job.priority),
    job.group && says.group(job.group),
  ]
    .filter(Boolean)
    .join(' · ')
}

const ICONS: Record<string, IconName> = {
  breaker: 'held', paused: 'pause', delayed: 'clock', retry: 'retry', children: 'flows', 'no-worker': 'workers', busy: 'workers',
}
const TROUBLE = ['breaker', 'no-worker', 'unknown-name']
const WATCH = ['paused', 'rate', 'concurrency', 'busy', 'group']

function Why({ job, skew }: { job: JobView; skew: number }) {
  const { act, busy } = useAct()
  const may = useMay('operate')
  const now = useNow() + skew
  const { why } = job
  if (why.cause === 'ended' || why.cause === 'running') return null
  const level = TROUBLE.includes(why.cause) ? 'trouble' : WATCH.includes(why.cause) ? 'watch' : 'calm'
  const left = why.until != null && why.until > now ? why.until - now : null
  const when = left != null && says.inTime(says.whenOver[why.cause] ?? says.thatIsOver, left)
  return (
    <WhyBand level={level} icon={ICONS[why.cause] ?? 'queues'} says={why.breaker ? why.says.replace(why.breaker, called(why.breaker)) : why.says} more={[why.more, when].filter(Boolean).join(' ')}>
      {why.breaker && may && (
        <ActButton className="btn primary" busy={busy} onClick={() => act({ run: () => testAndResume(why.breaker!), done: says.resumed(called(why.breaker!)) })}>
          <Icon name="play" />
          {says.testAndResume}
        </ActButton>
      )}
    </WhyBand>
  )
}

/** The layout in hairlines; it shows itself only if the answer takes its time. */
function Skeleton() {
  return (
    <Late>
      <div className="pad" aria-hidden="true">
        <span className="skel w30" />
        <span className="skel w60" />
        <span className="skel w90" />
        <span className="skel w90" />
      </div>
    </Late>
  )
}
