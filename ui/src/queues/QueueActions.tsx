import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { components } from '../api/schema'
import { count } from '../format'
import { drainQueue, obliterateQueue, pauseQueue, resumeQueue } from '../jobs/api'
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

type Asking = 'add' | 'drain' | 'drain-delayed' | 'clean' | 'obliterate' | { kind: Kind; state: string } | null

/** The buttons of a queue; for those who may only look there are none. */
export function QueueActions({ row }: { row: components['schemas']['QueueRow'] }) {
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
      <ActButton className="btn grow" disabled={busy} onClick={() => act(paused ? resume : pause)}>
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
      {asking === 'add' && <AddJob queue={queue} onClose={close} />}
      {(asking === 'drain' || delayed) && (
        <Confirm
          title={t.drainTitle(queue)}
          says={t.drainSays(delayed)}
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
          says={running > 0 ? t.obliterateForced(count(running)) : t.obliterateSays}
          verb={t.obliterateVerb(queue)}
          typed={queue}
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => obliterateQueue(queue, running > 0), done: t.obliterated(queue), then: () => void navigate({ to: '/' }) })}
        />
      )}
      {asking === 'clean' && <Clean queue={queue} onClose={close} />}
      {asking !== null && typeof asking === 'object' && (
        <BulkDialog kind={asking.kind} listed={{ queue, state: asking.state, oldest: true, filter: {} }} onClose={close} onBegun={close} />
      )}
    </div>
  )
}
