import { removeUnprocessed } from '../flows/api'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Confirm, Dialog } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { useMay } from '../api/session'
import { failed as sayFailed, say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import {
  cancelJob, changeJob, discardDead, duplicateJob, editDead, type JobView, promoteJob, removeJob, retryJob, revealJob, undoDead,
} from './api'
import { AskNumber } from './AskNumber'
import { type Copied, copyAs } from './copyAs'
import { EditData } from './EditData'

const says = texts.job

type Asking = 'cancel' | 'remove' | 'priority' | 'delay' | 'children' | null
type Editing = { of: 'job' | 'duplicate'; data: unknown } | null

const KINDS: Copied[] = ['curl', 'command line', 'Python']

/** The buttons of a job: those that its state and the role allow. */
export function JobActions({ job }: { job: JobView }) {
  const [asking, setAsking] = useState<Asking>(null)
  const [editing, setEditing] = useState<Editing>(null)
  const may = useMay('operate')
  const navigate = useNavigate()
  const { act, busy } = useAct()
  const { queue, id } = job
  const close = () => {
    setAsking(null)
    setEditing(null)
  }
  const ended = job.status === 'completed' || job.status === 'failed'
  const copy = (kind: Copied) => void navigator.clipboard.writeText(copyAs(kind, job)).then(() => say(says.copiedAs(kind)))
  const goTo = (to: string) => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: to } })
  const toQueue = () => void navigate({ to: '/queues/$queue', params: { queue } })
  /** What is hidden has to be there to be edited; that is in the audit log. */
  const edit = (of: 'job' | 'duplicate') => {
    if (!job.hidden) setEditing({ of, data: job.data })
    else void revealJob(queue, id).then((whole) => setEditing({ of, data: whole.data }), (error: unknown) => sayFailed('', error))
  }
  const change = (data: unknown) => {
    if (job.status === 'failed') return editDead(queue, id, data)
    return changeJob(queue, id, { data }).then(() => (ended ? retryJob(queue, id) : undefined))
  }
  const discard = async () => {
    const operation = await discardDead(queue, id)
    say(says.discarded(id), () => undoDead(queue, operation.id))
    toQueue()
  }
  const retry = () => act({ run: () => retryJob(queue, id), done: says.runsAgain(id) })
  const promote = () => act({ run: () => promoteJob(queue, id), done: says.promoted(id) })
  useKeys({
    r: may && ended && { says: texts.keys.retry, acts: true, run: retry },
    p: may && job.status === 'delayed' && { says: texts.keys.promote, acts: true, run: promote },
    e: may && !job.redacted && { says: texts.keys.edit, acts: true, run: () => edit('job') },
    c: !job.redacted && { says: texts.keys.copy, run: () => copy('curl') },
  })
  return (
    <div className="btn-row">
      {may && ended && (
        <ActButton className="btn" busy={busy} onClick={retry}>
          <Icon name="retry" />
          {says.retry}
        </ActButton>
      )}
      {may && job.status === 'delayed' && (
        <ActButton className="btn" busy={busy} onClick={promote}>
          <Icon name="play" />
          {says.promote}
        </ActButton>
      )}
      {may && !job.redacted && (
        <ActButton className="btn" onClick={() => edit('job')}>
          <Icon name="edit" />
          {ended ? says.editAndRetry : says.edit}
        </ActButton>
      )}
      {may && (
        <ActButton
          className="btn"
          busy={busy}
          onClick={() =>
            job.redacted ? act({ run: () => duplicateJob(queue, id).then((added) => goTo(added.id)), done: says.duplicated(id) }) : edit('duplicate')
          }
        >
          <Icon name="add" />
          {says.duplicate}
        </ActButton>
      )}
      {!job.redacted && (
        <Menu choices={KINDS.map((kind) => ({ name: kind, reads: true, run: () => copy(kind) }))}>
          <Icon name="copy" />
          {says.copyAs}
          <Icon name="down" />
        </Menu>
      )}
      {may && !ended && (
        <ActButton className="btn danger" disabled={job.cancelling !== null} onClick={() => setAsking('cancel')}>
          {job.cancelling === null ? says.cancel : says.cancelling}
        </ActButton>
      )}
      {may && (
        <Menu
          label={says.moreActions}
          choices={[
            ...(ended ? [] : [{ name: says.changePriority, run: () => setAsking('priority') }]),
            ...(job.status === 'delayed' ? [{ name: says.changeDelay, run: () => setAsking('delay') }] : []),
            ...(job.children.pending > 0 ? [{ name: says.removeChildren, danger: true, run: () => setAsking('children') }] : []),
            ...(job.status === 'failed' ? [{ name: says.discard, danger: true, run: () => void discard().catch((error: unknown) => sayFailed('', error)) }] : []),
            ...(job.status === 'active' || job.status === 'failed' ? [] : [{ name: says.remove, danger: true, run: () => setAsking('remove') }]),
          ]}
        >
          <Icon name="more" />
        </Menu>
      )}
      {asking === 'cancel' && (
        <Confirm
          title={says.cancelTitle(id)}
          says={job.status === 'active' ? says.cancelRunning : says.cancelWaiting}
          verb={says.cancelVerb}
          busy={busy}
          onClose={close}
          onConfirm={() =>
            act({ run: () => cancelJob(queue, id), done: job.status === 'active' ? says.cancelAsked(id) : says.cancelled(id), then: close })
          }
        />
      )}
      {asking === 'remove' && (
        <Confirm title={says.removeTitle(id)} says={says.removeSays} verb={says.removeVerb} busy={busy} onClose={close}
          onConfirm={() => act({ run: () => removeJob(queue, id), done: says.removed(id), then: toQueue })}
        />
      )}
      {asking === 'children' && (
        <Confirm title={says.removeChildrenTitle(job.children.pending)} says={says.removeChildrenSays} verb={says.removeChildrenVerb} busy={busy} onClose={close}
          onConfirm={() => act({ run: () => removeUnprocessed(queue, id), done: says.childrenRemoved(id), then: close })}
        />
      )}
      {asking === 'priority' && (
        <AskNumber title={says.priorityTitle(id)} label={says.priorityLabel} value={job.priority} most={2_097_151} verb={says.priorityVerb} busy={busy} onClose={close}
          onDone={(priority) =>
            act({
              run: () => changeJob(queue, id, { priority }),
              done: says.priorityDone(id, priority),
              undo: () => changeJob(queue, id, { priority: job.priority }),
              then: close,
            })
          }
        />
      )}
      {asking === 'delay' && (
        <AskNumber title={says.delayTitle(id)} label={says.delayLabel} value={leftOf(job)} most={31_622_400} verb={says.delayVerb} busy={busy} onClose={close}
          onDone={(delay) => {
            const asked = Date.now()
            act({
              run: () => changeJob(queue, id, { delay }),
              done: says.delayDone(id, delay),
              // To when it was due before.
              undo: () => changeJob(queue, id, { delay: Math.max(0, leftOf(job) - (Date.now() - asked) / 1000) }),
              then: close,
            })
          }}
        />
      )}
      {editing?.of === 'job' && (
        <Dialog title={ended ? says.editAndRetryTitle(id) : says.editTitle(id)} onClose={close} wide>
          {job.hidden && <p className="quiet">{says.editRevealed}</p>}
          <EditData value={editing.data} verb={ended ? says.saveAndRetry : says.save} busy={busy} onClose={close}
            onDone={(data) => act({ run: () => change(data), done: ended ? says.editedRuns(id) : says.edited(id), then: close })}
          />
        </Dialog>
      )}
      {editing?.of === 'duplicate' && (
        <Dialog title={says.duplicateTitle(id)} onClose={close} wide>
          <p>{says.duplicateSays}</p>
          {job.hidden && <p className="quiet">{says.editRevealed}</p>}
          <EditData value={editing.data} verb={says.duplicateVerb} busy={busy} onClose={close}
            onDone={(data) =>
              act({
                run: () => duplicateJob(queue, id, same(data, editing.data) ? undefined : data).then((added) => goTo(added.id)),
                done: says.duplicated(id),
                then: close,
              })
            }
          />
        </Dialog>
      )}
    </div>
  )
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
const leftOf = (job: JobView) => Math.max(0, Math.round((job.due ?? job.at) - job.at))
