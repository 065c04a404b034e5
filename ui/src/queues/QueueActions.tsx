import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { count } from '../format'
import { drainQueue, obliterateQueue, pauseQueue, resumeQueue } from '../jobs/api'
import { countOf, STATES, tabOf } from '../jobs/states'
import { BulkDialog } from '../jobs/BulkDialog'
import type { Kind } from '../jobs/bulk'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { useMay } from '../api/session'
import { useAct } from '../parts/useAct'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import { AddJob } from './AddJob'
import { Clean } from './Clean'
import { type QueueRow, waitingOf } from './trouble'

/** "1,840 waiting", "37 dead letters": of each state that has any. */
const countsOf = (states: Record<string, number>): string[] =>
  STATES.map((state) => [state, countOf(state, states)] as const)
    .filter(([, jobs]) => jobs > 0)
    .map(([state, jobs]) => texts.queue.counted(count(jobs), tabOf(state, states['held'] ?? 0).name))

/** The name that most jobs have lately; empty: none came. */
const usualOf = (names: QueueRow['names']): string =>
  Object.entries(names).reduce((most, [name, { arrived, completed }]) => (arrived + completed > most.jobs ? { name, jobs: arrived + completed } : most), { name: '', jobs: 0 }).name

type Asking = 'add' | 'drain' | 'drain-delayed' | 'clean' | 'obliterate' | { kind: Kind; state: string } | null

/** The buttons of a queue; for those who may only look there are none. */
export function QueueActions({ row }: { row: QueueRow }) {
  const t = texts.queue
  const { queue, paused } = row
  const [asking, setAsking] = useState<Asking>(null)
  const { act, busy } = useAct()
  const navigate = useNavigate()
  const close = () => setAsking(null)
  const may = useMay('operate')
  const pause = { run: () => pauseQueue(queue), done: t.isPaused(queue), undo: () => resumeQueue(queue) }
  const resume = { run: () => resumeQueue(queue), done: t.runs(queue), undo: () => pauseQueue(queue) }
  const delayed = asking === 'drain-delayed'
  const running = row.states['active'] ?? 0
  useKeys({ p: may && { says: texts.keys.pause, acts: true, run: () => act(paused ? resume : pause) } })
  if (!may) return null
  return (
    <div className="btn-row">
      <ActButton className="btn grow" onClick={() => setAsking('add')}>
        <Icon name="add" />
        {t.addJob}
      </ActButton>
      <ActButton className="btn grow" busy={busy} onClick={() => act(paused ? resume : pause)}>
        <Icon name={paused ? 'play' : 'pause'} />
        {paused ? t.resume : t.pause}
      </ActButton>
      <Menu
        label={t.more}
        choices={[
          { name: t.retryAll, run: () => setAsking({ kind: 'retry', state: 'failed' }) },
          { name: t.retryCompleted, run: () => setAsking({ kind: 'retry', state: 'completed' }) },
          { name: t.promoteAll, run: () => setAsking({ kind: 'promote', state: 'delayed' }) },
          null,
          { name: t.clean, run: () => setAsking('clean') },
          { name: t.drain, danger: true, run: () => setAsking('drain') },
          { name: t.drainDelayed, danger: true, run: () => setAsking('drain-delayed') },
          null,
          { name: t.obliterate, danger: true, run: () => setAsking('obliterate') },
        ]}
      >
        <Icon name="more" />
      </Menu>
      {asking === 'add' && <AddJob queue={queue} usual={usualOf(row.names)} onClose={close} />}
      {(asking === 'drain' || delayed) && (
        <Confirm
          title={t.drainTitle(queue)}
          says={t.drainSays(count(waitingOf(row.states) + (delayed ? (row.states['delayed'] ?? 0) + (row.states['held'] ?? 0) : 0)), delayed)}
          verb={t.drainVerb(queue)}
          typed={queue}
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => drainQueue(queue, delayed), done: t.drained(queue), then: close })}
        />
      )}
      {asking === 'obliterate' && (
        <Confirm
          title={t.obliterateTitle(queue)}
          says={t.obliterateSays(countsOf(row.states), running > 0 ? count(running) : '')}
          verb={t.obliterateVerb(queue)}
          typed={queue}
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => obliterateQueue(queue, running > 0), done: t.obliterated(queue), then: () => void navigate({ to: '/' }) })}
        />
      )}
      {asking === 'clean' && <Clean queue={queue} states={row.states} onClose={close} />}
      {asking !== null && typeof asking === 'object' && (
        <BulkDialog kind={asking.kind} listed={{ queue, state: asking.state, oldest: true, filter: {} }} onClose={close} onBegun={close} />
      )}
    </div>
  )
}
