import { useState } from 'react'
import { count } from '../format'
import { cleanQueue } from '../jobs/api'
import { ActButton } from '../parts/ActButton'
import { Dialog, useSafeFocus } from '../parts/Dialog'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'

/** Seconds, in the order of `texts.queue.ages`. */
const AGES = [0, 3_600, 86_400, 604_800, 2_592_000]

type Cleanable = keyof typeof texts.queue.cleanStates

/** Removes jobs of a state by their age, in steps that tell how far it is. */
export function Clean({ queue, states, onClose }: { queue: string; states: Record<string, number>; onClose: () => void }) {
  const t = texts.queue
  const [state, setState] = useState<Cleanable>('completed')
  const [age, setAge] = useState(2)
  const [removed, setRemoved] = useState(0)
  const { act, busy } = useAct()
  const safe = useSafeFocus()

  async function clean() {
    let done = 0
    for (let more = true; more; ) {
      const step = await cleanQueue(queue, state, AGES[age]!)
      done += step.removed
      more = step.more
      setRemoved(done)
    }
    return done
  }

  let total = 0
  return (
    <Dialog title={t.cleanTitle(queue)} onClose={onClose}>
      <p>{t.cleanSays}</p>
      <div className="fields">
        <label htmlFor="clean-state">{t.cleanJobs}</label>
        <select id="clean-state" className="input" value={state} onChange={(event) => setState(event.target.value as Cleanable)}>
          {(Object.keys(t.cleanStates) as Cleanable[]).map((one) => (
            <option key={one} value={one}>
              {t.cleanStates[one]}
            </option>
          ))}
        </select>
        <label htmlFor="clean-age">{t.cleanAge}</label>
        <select id="clean-age" className="input" value={age} onChange={(event) => setAge(Number(event.target.value))}>
          {t.ages.map((name, at) => (
            <option key={name} value={at}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <p className="note-box">{t.cleanOf(count(states[state] ?? 0))}</p>
      <div className="btn-row">
        {busy && <span className="small quiet">{t.removedSoFar(count(removed))}</span>}
        <button className="btn" ref={safe} onClick={onClose}>
          {t.keep}
        </button>
        <ActButton
          className="btn danger solid"
          busy={busy}
          onClick={() =>
            act({
              run: async () => {
                total = await clean()
              },
              done: '',
              then: () => {
                say(t.cleaned(count(total)))
                onClose()
              },
            })
          }
        >
          {t.removeThem}
        </ActButton>
      </div>
    </Dialog>
  )
}
