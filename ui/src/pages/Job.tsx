import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ProblemError } from '../api/client'
import { ago, bytes, clock, count, duration } from '../format'
import { readJob, testAndResume, type JobView } from '../jobs/api'
import { DataTree, Redacted } from '../jobs/DataTree'
import { JobActions } from '../jobs/JobActions'
import { Logs } from '../jobs/Logs'
import { stateOf } from '../jobs/states'
import { StatePill } from '../jobs/StatePill'
import { Timeline } from '../jobs/Timeline'
import { total } from '../jobs/timeline'
import { WhyBand } from '../jobs/WhyBand'
import { Icon, type IconName } from '../parts/Icon'
import { Above, PageTop } from '../parts/PageTop'
import { useMay } from '../parts/session'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { useEvery } from '../parts/useEvery'
import { useNow } from '../parts/useNow'

export function Job() {
  const { queue, id } = useParams({ from: '/queues/$queue/jobs/$id' })
  const every = useEvery(2_000)
  const found = useQuery({
    queryKey: ['job', queue, id],
    queryFn: () => readJob(queue, id),
    refetchInterval: (query) => (query.state.error instanceof ProblemError && query.state.error.status === 404 ? 10_000 : every),
    retry: (failures, error) => failures < 1 && !(error instanceof ProblemError && error.status === 404),
  })
  const job = found.data
  const gone = found.error instanceof ProblemError && found.error.status === 404
  return (
    <>
      <PageTop query={gone ? undefined : found}>
          <Link className="hide-narrow" to="/queues/$queue" params={{ queue }}>
            {queue}
          </Link>
          <Above />
          <span className="mono">{id}</span>
        </PageTop>
      {gone ? (
        <div className="empty">
          <h3>
            {job ? `Job ${id} is gone` : `There is no job ${id} in ${queue}`}
          </h3>
          <p>It never was, it was removed, or its retention has passed.</p>
          <Link className="btn" to="/queues/$queue" params={{ queue }}>
            Jobs of {queue}
          </Link>
        </div>
      ) : job ? (
        <Shown job={job} off={found.error != null} />
      ) : (
        found.isPending && <Skeleton />
      )}
    </>
  )
}

function Shown({ job, off }: { job: JobView; off: boolean }) {
  // Ages count by the server's clock: what this machine's is off by goes in.
  const skew = job.at - Date.now() / 1000
  return (
    <>
      <div className="pagehead" inert={off}>
        <div>
          <h1>
            <span className="mono jobid">{job.id}</span> {job.name} <StatePill status={job.status} held={job.held} />
          </h1>
          <p className="lead">{lead(job)}</p>
        </div>
        <JobActions job={job} />
      </div>
      <Why job={job} skew={skew} />
      <div className="split wide-side">
        <div>
          <Timeline job={job} skew={Math.abs(skew) < 5 ? 0 : skew} />
          <Logs queue={job.queue} id={job.id} running={job.status === 'active'} />
        </div>
        <Aside job={job} />
      </div>
    </>
  )
}

function lead(job: JobView): string {
  return [
    job.queue,
    job.enqueuedAt != null && `added ${ago(job.enqueuedAt, job.at)}`,
    `${job.attemptsMade} of ${job.attempts} attempts spent`,
    job.priority > 0 && `priority ${job.priority}`,
    job.group && `group ${job.group}`,
  ]
    .filter(Boolean)
    .join(' · ')
}

const ICONS: Record<string, IconName> = {
  breaker: 'held', paused: 'pause', delayed: 'clock', retry: 'retry', children: 'flows', 'no-worker': 'workers', busy: 'workers',
}
/** What comes when it is over. */
const NEXT: Record<string, string> = {
  breaker: 'The next probe is', retry: 'The next attempt is', delayed: 'It is due', rate: 'The next start is',
  signal: 'It waits no longer', 'unknown-name': 'It is looked at again',
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
  const left = why.until != null && why.until > now ? duration(why.until - now) : null
  const when = left && `${NEXT[why.cause] ?? 'That is over'} in ${left}.`
  return (
    <WhyBand level={level} icon={ICONS[why.cause] ?? 'queues'} says={why.says} more={[why.more, when].filter(Boolean).join(' ')}>
      {why.breaker && may && (
        <button
          className="btn primary"
          disabled={busy}
          onClick={() => act({ run: () => testAndResume(why.breaker!), done: `${why.breaker} is resumed; its jobs run again.` })}
        >
          <Icon name="play" />
          Test key and resume
        </button>
      )}
    </WhyBand>
  )
}

const NO_RIGHT = 'What jobs hold is shown to those with the right to see payloads.'

function Aside({ job }: { job: JobView }) {
  const copy = (value: unknown) => void navigator.clipboard.writeText(JSON.stringify(value, null, 2)).then(() => say('Copied as JSON.'))
  const button = (value: unknown) =>
    !job.redacted && (
      <button className="icon-btn" title="Copy JSON" onClick={() => copy(value)}>
        <Icon name="copy" />
      </button>
    )
  return (
    <aside className="aside">
      <Section title="Data" note={bytes(job.dataBytes)} right={button(job.data)}>
        {job.redacted ? <Redacted says={NO_RIGHT} /> : <DataTree name="data" value={job.data} />}
      </Section>
      {job.checkpoint != null && (
        <Section title="Checkpoint" right={button(job.checkpoint)}>
          <DataTree name="checkpoint" value={job.checkpoint} />
          <p className="note-box above">A retry goes on from here: what is noted is not done twice.</p>
        </Section>
      )}
      {job.progress != null && typeof job.progress === 'object' && (
        <Section title="Progress">
          <DataTree name="progress" value={job.progress} />
        </Section>
      )}
      <Section title="Result" right={job.hasResult && button(job.result)}>
        {!job.hasResult ? (
          <p className="quiet">{job.status === 'failed' ? 'None: it failed.' : 'None yet.'}</p>
        ) : job.redacted ? (
          <Redacted says={NO_RIGHT} />
        ) : (
          <DataTree name="result" value={job.result} />
        )}
      </Section>
      <Section title="Options">
        <dl className="kv">
          {job.options.map((option) => (
            <Pair key={option.name} name={option.name}>
              {option.says}
            </Pair>
          ))}
          {job.processedBy && <Pair name="Last run by">{job.processedBy}</Pair>}
          {job.enqueuedAt != null && <Pair name="Added">{clock(job.enqueuedAt)}</Pair>}
          {job.group && <Pair name="Group">{job.group}</Pair>}
          {job.schedule && <Pair name="Schedule">{job.schedule}</Pair>}
          {job.dedup && <Pair name="Deduplication id">{job.dedup}</Pair>}
          {job.stalled > 0 && <Pair name="Taken over">{count(job.stalled)} times from a dead worker</Pair>}
        </dl>
      </Section>
      {(job.parent || total(job) > 0) && <Family job={job} />}
    </aside>
  )
}

function Family({ job }: { job: JobView }) {
  const { children } = job
  return (
    <Section title="Family">
      <dl className="kv">
        {job.parent && (
          <Pair name="Parent">
            <JobLink queue={job.parent.queue} id={job.parent.id} />
          </Pair>
        )}
        {total(job) > 0 && (
          <Pair name="Children">
            {count(children.completed)} of {count(total(job))} completed
            {children.failed + children.ignored > 0 && `, ${count(children.failed + children.ignored)} failed`}
          </Pair>
        )}
        {children.some.map((child) => (
          <Pair key={`${child.queue}:${child.id}`} name={child.status === 'gone' ? 'Gone' : stateOf(child.status).name}>
            <JobLink queue={child.queue} id={child.id} />
          </Pair>
        ))}
      </dl>
    </Section>
  )
}

function JobLink({ queue, id }: { queue: string; id: string }) {
  return (
    <Link className="link" to="/queues/$queue/jobs/$id" params={{ queue, id }}>
      {queue} <span className="mono">{id}</span>
    </Link>
  )
}

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}

function Section({ title, note, right, children }: { title: string; note?: string; right?: ReactNode; children: ReactNode }) {
  return (
    <div className="rail-sec">
      <div className="head">
        <h2>{title}</h2>
        {note && <span className="small quiet">{note}</span>}
        <div className="right">{right}</div>
      </div>
      {children}
    </div>
  )
}

/** The layout in hairlines; it shows itself only if the answer takes its time. */
function Skeleton() {
  return (
    <div className="pad late" aria-hidden="true">
      <span className="skel w30" />
      <span className="skel w60" />
      <span className="skel w90" />
      <span className="skel w90" />
    </div>
  )
}
