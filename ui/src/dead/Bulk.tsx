import { useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { texts } from '../texts'
import type { useDeskActions } from './actions'
import type { Group } from './groups'

const said = texts.dead

const RATE = 10

/** The bin of a queue takes so many; more than that is asked for each group, where the dry run says what is lost. */
const BIN_JOBS = 100_000

interface Props {
  groups: Group[]
  down: boolean
  actions: ReturnType<typeof useDeskActions>
  onDone: () => void
}

/** What is done with several groups at once. Undo reaches all of it. */
export function Bulk({ groups, down, actions, onDone }: Props) {
  const [busy, setBusy] = useState(false)
  const off = busy || down
  const jobs = groups.reduce((all, group) => all + group.count, 0)
  async function act(what: () => Promise<void>) {
    setBusy(true)
    await what()
    setBusy(false)
    onDone()
  }
  return (
    <div className="bulk" role="region" aria-label={said.chosen}>
      <span>
        {said.groups(groups.length)} <span className="dim">{said.jobs(count(jobs))}</span>
      </span>
      <ActButton className="btn sm" disabled={off} onClick={() => void act(() => actions.retry(groups, { rate: RATE, breaker: '' }))}>
        {said.retryAt(RATE)}
      </ActButton>
      <ActButton className="btn sm" disabled={off} onClick={() => void act(() => actions.mark(groups, 'resolved'))}>
        {said.resolve}
      </ActButton>
      <ActButton
        className="btn sm"
        disabled={off || jobs > BIN_JOBS}
        title={jobs > BIN_JOBS ? said.moreThanBin : undefined}
        onClick={() => void act(() => actions.discard(groups))}
      >
        {said.discard}
      </ActButton>
      <button className="btn sm" onClick={onDone}>
        {said.clear}
      </button>
    </div>
  )
}
