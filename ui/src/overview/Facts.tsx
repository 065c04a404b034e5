import { bytes, count, rate } from '../format'
import { type OverviewQueue, queuedOf } from '../queues/trouble'
import { texts } from '../texts'

const say = texts.overview

/** All queues together. */
export function Facts({ queues, workers, leftBehind, memory }: { queues: OverviewQueue[]; workers: number; leftBehind: number; memory?: number }) {
  const sum = (of: (queue: OverviewQueue) => number) => queues.reduce((all, queue) => all + of(queue), 0)
  const of = (state: string) => count(sum((q) => q.row.states[state] ?? 0))
  const facts: [keyof typeof say.facts, string, string][] = [
    ['in', rate(sum((q) => q.row.recent.arrived / q.row.recent.windowSeconds)), say.perSecond],
    ['out', rate(sum((q) => q.row.recent.perSecond)), say.perSecond],
    ['waiting', count(sum((q) => queuedOf(q.row.states))), ''],
    ['active', of('active'), ''],
    ['delayed', of('delayed'), ''],
    ['dead', of('failed'), ''],
    ['workers', count(workers), leftBehind > 0 ? say.leftBehind(count(leftBehind)) : ''],
    ['redis', memory === undefined ? say.unknown : bytes(memory), ''],
  ]
  return (
    <dl className="facts">
      {facts.map(([name, value, unit]) => (
        <div key={name} className={name === 'active' || name === 'delayed' ? 'col-wide' : ''}>
          <dt>{say.facts[name]}</dt>
          <dd>
            {value}
            <small className={name === 'workers' ? 'is-limited' : undefined}>{unit}</small>
          </dd>
        </div>
      ))}
    </dl>
  )
}
