import { useState } from 'react'
import { count } from '../format'
import type { useDeskActions } from './actions'
import type { Group } from './groups'

const RATE = 10

interface Props {
  groups: Group[]
  actions: ReturnType<typeof useDeskActions>
  onDone: () => void
}

/** What is done with several groups at once. Undo reaches all of it. */
export function Bulk({ groups, actions, onDone }: Props) {
  const [busy, setBusy] = useState(false)
  const jobs = groups.reduce((all, group) => all + group.count, 0)
  async function act(what: () => Promise<void>) {
    setBusy(true)
    await what()
    setBusy(false)
    onDone()
  }
  return (
    <div className="bulk" role="region" aria-label="Chosen groups">
      <span>
        {groups.length === 1 ? '1 group' : `${groups.length} groups`} <span className="dim">{count(jobs)} jobs</span>
      </span>
      <button className="btn sm" disabled={busy} onClick={() => void act(() => actions.retry(groups, { rate: RATE, breaker: '' }))}>
        Retry at {RATE}/s
      </button>
      <button className="btn sm" disabled={busy} onClick={() => void act(() => actions.mark(groups, 'resolved'))}>
        Resolve
      </button>
      <button className="btn sm" disabled={busy} onClick={() => void act(() => actions.discard(groups))}>
        Discard
      </button>
      <button className="btn sm" onClick={onDone}>
        Clear
      </button>
    </div>
  )
}
