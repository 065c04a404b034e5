import { useState } from 'react'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { Confirm } from '../parts/Dialog'
import { useMay } from '../parts/session'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { changeMany, type Listed, type Many, readJobs } from './api'
import { AskNumber } from './AskNumber'

/** Jobs of one request. */
const MOST = 1_000

interface Props {
  listed: Listed
  picked: ReadonlySet<string>
  loaded: number
  more: boolean
  onPick: (ids: ReadonlySet<string>) => void
}

type Asking = 'cancel' | 'remove' | 'priority' | 'delay' | null

const FITTING: Record<string, Many['action'][]> = {
  waiting: ['priority', 'cancel'],
  active: ['cancel'],
  delayed: ['promote', 'delay', 'priority', 'cancel'],
  'waiting-children': ['cancel'],
  completed: ['retry', 'remove'],
  failed: ['retry', 'remove'],
}
const NAMES: Record<Many['action'], string> = {
  retry: 'Retry', promote: 'Promote', priority: 'Change priority…', delay: 'Delay…', cancel: 'Cancel…', remove: 'Remove…',
}
const DONE: Record<Many['action'], string> = {
  retry: 'run again', promote: 'wait no longer', priority: 'have another priority', delay: 'have another delay',
  cancel: 'are cancelled', remove: 'are removed',
}

/** What can be done to the chosen jobs, and to how many. */
export function BulkBar({ listed, picked, loaded, more, onPick }: Props) {
  const [asking, setAsking] = useState<Asking>(null)
  const { act, busy } = useAct()
  const may = useMay('operate')
  const clear = () => onPick(new Set())
  const close = () => setAsking(null)

  async function pickAll() {
    const ids = new Set<string>()
    let cursor: string | null = null
    do {
      const page = await readJobs(listed, cursor, 200)
      page.jobs.forEach((job) => ids.size < MOST && ids.add(job.id))
      cursor = page.cursor
    } while (cursor && ids.size < MOST)
    onPick(ids)
  }

  function run(action: Many['action'], more: { priority?: number; delay?: number } = {}) {
    let outcome = { done: 0, failed: 0, some: [] as { id: string; why: string }[] }
    const body: Many = { action, ids: [...picked], priority: 0, delay: 0, reason: '', ...more }
    act({
      run: async () => {
        outcome = await changeMany(listed.queue, body)
      },
      done: '',
      then: () => {
        const left = outcome.failed ? ` ${count(outcome.failed)} stayed as they were: ${outcome.some[0]!.why}` : ''
        say(`${count(outcome.done)} ${outcome.done === 1 ? 'job' : 'jobs'}: they ${DONE[action]}.${left}`)
        close()
        clear()
      },
    })
  }

  const n = count(picked.size)
  return (
    <div className="bulk" role="toolbar" aria-label="Bulk actions">
      <span>
        <b className="strong">{n} selected</b>{' '}
        {more && picked.size >= loaded && picked.size < MOST && (
          <>
            <span className="dim">or</span>{' '}
            <button className="bare under" onClick={() => void pickAll().catch((error: Error) => say(error.message))}>
              all that match, up to {count(MOST)}
            </button>
          </>
        )}
      </span>
      {may &&
        FITTING[listed.state]?.map((action) => (
          <button
            key={action}
            className="btn sm"
            disabled={busy}
            onClick={() => (action === 'retry' || action === 'promote' ? run(action) : setAsking(action))}
          >
            {NAMES[action].replace('…', action === 'cancel' || action === 'remove' ? ` ${n}…` : '…')}
          </button>
        ))}
      <button className="icon-btn inherit" title="Clear selection" onClick={clear}>
        <Icon name="close" />
      </button>
      {(asking === 'cancel' || asking === 'remove') && (
        <Confirm
          title={`${asking === 'cancel' ? 'Cancel' : 'Remove'} ${n} jobs?`}
          says={asking === 'cancel' ? 'Those that wait are removed, with their children; those that run are ended.' : 'They go with their data, results and logs, and cannot be brought back.'}
          verb={asking === 'cancel' ? `Cancel ${n} jobs` : `Remove ${n} jobs`}
          busy={busy}
          onClose={close}
          onConfirm={() => run(asking)}
        />
      )}
      {asking === 'priority' && (
        <AskNumber title={`Priority of ${n} jobs`} label="Priority; lower runs first, 0: before all that have one" value={1} most={2_097_151} verb="Change priority" busy={busy} onClose={close} onDone={(priority) => run('priority', { priority })} />
      )}
      {asking === 'delay' && (
        <AskNumber title={`Delay of ${n} jobs`} label="Seconds from now" value={60} most={31_622_400} verb="Change delay" busy={busy} onClose={close} onDone={(delay) => run('delay', { delay })} />
      )}
    </div>
  )
}
