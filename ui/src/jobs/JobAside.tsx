import { Link } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { clock, exact } from '../format'
import { useMay } from '../api/session'
import { ActButton } from '../parts/ActButton'
import { Time } from '../parts/Time'
import { useNow } from '../parts/useNow'
import { texts } from '../texts'
import type { JobView, Revealed } from './api'
import { Held, Section } from './Held'
import { stateOf } from './states'
import { total } from './timeline'

const says = texts.job

export interface Reveal {
  shown: Revealed | null
  until: number
  ask: () => void
  hide: () => void
}

/** What a job holds, its options and its family. */
export function JobAside({ job, reveal }: { job: JobView; reveal: Reveal }) {
  const held = reveal.shown ?? job
  const may = useMay('read_payloads')
  return (
    <aside className="aside">
      <Held title={says.data} root="data" value={held.data} size={job.dataBytes} redacted={job.redacted} right={job.hidden && may && <RevealButton reveal={reveal} />}>
        {job.hidden && !reveal.shown && <p className="note-box above">{says.hiddenNote}</p>}
        {job.dataForm === 'encrypted' && <p className="note-box above">{says.encrypted}</p>}
        {job.dataForm === 'text' && !job.redacted && <p className="note-box above">{says.notJson}</p>}
      </Held>
      {job.checkpoint != null && (
        <Held
          title={says.checkpointTitle}
          root="checkpoint"
          value={held.checkpoint}
          note={
            job.checkpointAt != null && (
              <>
                {says.written} <Time at={job.checkpointAt} />
              </>
            )
          }
        >
          {job.status !== 'completed' && <p className="note-box above">{says.resumesHere}</p>}
        </Held>
      )}
      {job.progress != null && typeof job.progress === 'object' && <Held title={says.progressTitle} root="progress" value={job.progress} />}
      {job.hasResult ? (
        <Held title={says.result} root="result" value={held.result} redacted={job.redacted} />
      ) : (
        <Section title={says.result}>
          <p className="quiet">{job.status === 'failed' ? says.resultFailed : says.resultNone}</p>
        </Section>
      )}
      <Facts job={job} />
      {(job.parent || total(job) > 0) && <Family job={job} />}
    </aside>
  )
}

function RevealButton({ reveal }: { reveal: Reveal }) {
  const now = useNow()
  if (!reveal.shown) {
    return (
      <ActButton className="link small bare" onClick={reveal.ask}>
        {says.reveal}
      </ActButton>
    )
  }
  return (
    <button className="link small bare" title={says.hideNow} onClick={reveal.hide}>
      {says.hidesIn(Math.max(0, reveal.until - now))}
    </button>
  )
}

function Facts({ job }: { job: JobView }) {
  const names = says.facts
  return (
    <Section title={says.options}>
      <dl className="kv">
        {job.options.map((option) => (
          <Pair key={option.name} name={option.name}>
            {option.says}
          </Pair>
        ))}
        {job.status === 'active' && job.processedBy ? <Holder job={job} /> : job.processedBy && <Pair name={names.lastRunBy}>{job.processedBy}</Pair>}
        {job.enqueuedAt != null && (
          <Pair name={names.added}>
            <time dateTime={exact(job.enqueuedAt)} title={exact(job.enqueuedAt)}>
              {clock(job.enqueuedAt)}
            </time>
          </Pair>
        )}
        {job.attemptsStarted > 1 && <Pair name={names.starts}>{says.startedTimes(job.attemptsStarted)}</Pair>}
        {job.signal && <Pair name={names.signal}>{says.signalUntil(job.signal.name, job.signal.until - job.at)}</Pair>}
        {job.group && <Pair name={names.group}>{job.group}</Pair>}
        {job.schedule && (
          <Pair name={names.schedule}>
            <Link className="link" to="/schedules">
              {job.schedule}
            </Link>
          </Pair>
        )}
        {job.dedup && (
          <Pair name={names.dedup}>
            <span className="mono small">{job.dedup}</span>
          </Pair>
        )}
        {job.stalled > 0 && <Pair name={names.stalled}>{says.stalledTimes(job.stalled)}</Pair>}
        {job.traceId && (
          <Pair name={names.trace}>
            <span className="mono small trace-id">{job.traceId}</span>
          </Pair>
        )}
      </dl>
    </Section>
  )
}

/** Who has it now. A young run has no lock yet; its worker is known all the same. */
function Holder({ job }: { job: JobView }) {
  const now = useNow()
  const [skew, setSkew] = useState(0)
  useEffect(() => setSkew(job.at - Date.now() / 1000), [job.at])
  const since = job.startedAt == null ? null : Math.max(0, now + skew - job.startedAt)
  return (
    <Pair name={says.facts.lock}>
      <span title={job.lock ? `${job.lock.holder}; ${says.lockLeft(job.lock.left)}` : undefined}>{says.lockFor(job.processedBy!, since)}</span>
    </Pair>
  )
}

/** Its parent and children; the whole flow is drawn under the timeline. */
function Family({ job }: { job: JobView }) {
  const { children } = job
  return (
    <Section title={says.family}>
      <dl className="kv">
        {job.parent && (
          <Pair name={says.facts.parent}>
            <JobLink queue={job.parent.queue} id={job.parent.id} />
          </Pair>
        )}
        {total(job) > 0 && <Pair name={says.facts.children}>{says.childrenDone(children.completed, total(job), children.failed + children.ignored)}</Pair>}
        {children.some.map((child) => (
          <Pair key={`${child.queue}:${child.id}`} name={child.status === 'gone' ? says.facts.gone : stateOf(child.status).name}>
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
