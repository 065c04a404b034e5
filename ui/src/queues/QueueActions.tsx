import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { count } from '../format'
import { cleanQueue, drainQueue, obliterateQueue, pauseQueue, resumeQueue } from '../jobs/api'
import { Menu } from '../parts/Menu'
import { Icon } from '../parts/Icon'
import { Confirm, Dialog } from '../parts/Dialog'
import { useMay } from '../parts/session'
import { useAct } from '../parts/useAct'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import { AddJob } from './AddJob'

type Asking = 'add' | 'drain' | 'drain-delayed' | 'clean' | 'obliterate' | null

/** The buttons of a queue; for those who may only look there are none. */
export function QueueActions({ queue, paused }: { queue: string; paused: boolean }) {
  const [asking, setAsking] = useState<Asking>(null)
  const { act, busy } = useAct()
  const navigate = useNavigate()
  const close = () => setAsking(null)
  const may = useMay('operate')
  const pause = { run: () => pauseQueue(queue), done: `${queue} is paused.`, undo: () => resumeQueue(queue) }
  const resume = { run: () => resumeQueue(queue), done: `${queue} runs.`, undo: () => pauseQueue(queue) }
  const delayed = asking === 'drain-delayed'
  useKeys({ p: may && { says: texts.keys.pause, run: () => act(paused ? resume : pause) } })
  if (!may) return null
  return (
    <div className="btn-row">
      <button className="btn grow" onClick={() => setAsking('add')}>
        <Icon name="add" />
        Add job
      </button>
      <button className="btn grow" disabled={busy} onClick={() => act(paused ? resume : pause)}>
        <Icon name={paused ? 'play' : 'pause'} />
        {paused ? 'Resume' : 'Pause'}
      </button>
      <Menu
        label="Drain, clean, obliterate"
        choices={[
          { name: 'Clean finished jobs…', run: () => setAsking('clean') },
          { name: 'Drain what waits…', danger: true, run: () => setAsking('drain') },
          { name: 'Drain, delayed too…', danger: true, run: () => setAsking('drain-delayed') },
          null,
          { name: 'Obliterate the queue…', danger: true, run: () => setAsking('obliterate') },
        ]}
      >
        <Icon name="more" />
      </Menu>
      {asking === 'add' && <AddJob queue={queue} onClose={close} />}
      {(asking === 'drain' || delayed) && (
        <Confirm
          title={`Drain ${queue}?`}
          says={`All jobs that wait${delayed ? ' or are delayed' : ''} are removed. Running and finished ones stay, and the next runs of schedules. They cannot be brought back.`}
          verb={`Drain ${queue}`}
          typed={queue}
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => drainQueue(queue, delayed), done: `${queue} is drained.`, then: close })}
        />
      )}
      {asking === 'obliterate' && (
        <Confirm
          title={`Obliterate ${queue}?`}
          says="Every job goes, with its events, schedules, statistics and settings. Nothing of it can be brought back. It is refused while jobs run."
          verb={`Obliterate ${queue}`}
          typed={queue}
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => obliterateQueue(queue, false), done: `${queue} is gone.`, then: () => void navigate({ to: '/' }) })}
        />
      )}
      {asking === 'clean' && <Clean queue={queue} onClose={close} />}
    </div>
  )
}

const AGES: [string, number][] = [
  ['of any age', 0],
  ['older than an hour', 3_600],
  ['older than a day', 86_400],
  ['older than a week', 604_800],
]

function Clean({ queue, onClose }: { queue: string; onClose: () => void }) {
  const [state, setState] = useState<'completed' | 'failed'>('completed')
  const [age, setAge] = useState(86_400)
  const [removed, setRemoved] = useState(0)
  const { act, busy } = useAct()

  async function clean() {
    let done = 0
    let more = true
    while (more) {
      const step = await cleanQueue(queue, state, age)
      done += step.removed
      more = step.more
      setRemoved(done)
    }
  }

  return (
    <Dialog title={`Clean ${queue}`} onClose={onClose}>
      <p>Finished jobs go with their data, results and logs, and cannot be brought back.</p>
      <div className="fields">
        <label htmlFor="clean-state">Jobs</label>
        <select id="clean-state" className="input" value={state} onChange={(event) => setState(event.target.value as 'completed' | 'failed')}>
          <option value="completed">that completed</option>
          <option value="failed">in the dead letters</option>
        </select>
        <label htmlFor="clean-age">that are</label>
        <select id="clean-age" className="input" value={age} onChange={(event) => setAge(Number(event.target.value))}>
          {AGES.map(([name, seconds]) => (
            <option key={seconds} value={seconds}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div className="btn-row">
        {busy && <span className="small quiet">{count(removed)} removed so far</span>}
        <button className="btn" autoFocus onClick={onClose}>
          Keep
        </button>
        <button className="btn danger solid" disabled={busy} onClick={() => act({ run: clean, done: `${queue} is cleaned.`, then: onClose })}>
          Remove them
        </button>
      </div>
    </Dialog>
  )
}
