import { useState } from 'react'
import { useMay } from '../api/session'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'
import { releaseParent, removeUnprocessed, retryChildren } from './api'
import type { FlowNode } from './tree'

const t = texts.flows

/** What an operator does about the children of a job: each button only where it can do something. */
export function FlowActions({ node, off }: { node: FlowNode; off: boolean }) {
  const may = useMay('operate')
  const { act, busy } = useAct()
  const [asking, setAsking] = useState(false)
  const { queue, id, stuck } = node
  const waits = node.status === 'waiting-children'
  const failures = node.failed + node.ignored + (stuck?.reason === 'child_failed' ? stuck.children.length : 0)
  const canRetry = failures > 0 && (waits || node.status === 'failed')
  if (!may || off || !(canRetry || stuck || node.pending > 0)) return null
  const retry = () => retryChildren(queue, id).then((done) => (done.retried > 0 ? t.retried(count(done.retried), done.parents, done.left) : t.noneFailed))
  const release = () => releaseParent(queue, id).then((done) => (done.released ? t.released(id) : t.notReleased(id)))
  return (
    <div className="btn-row flow-actions">
      {canRetry && (
        <ActButton className={stuck?.reason === 'child_failed' ? 'btn primary' : 'btn'} busy={busy} onClick={() => act({ run: retry, done: (says) => String(says) })}>
          <Icon name="retry" />
          {t.retry(stuck && failures >= 10 ? 0 : failures, count(failures))}
        </ActButton>
      )}
      {stuck && (
        <ActButton className={canRetry ? 'btn' : 'btn primary'} busy={busy} onClick={() => act({ run: release, done: (says) => String(says) })}>
          <Icon name="play" />
          {t.release}
        </ActButton>
      )}
      {node.pending > 0 && (
        <ActButton className="btn danger" busy={busy} onClick={() => setAsking(true)}>
          {t.remove(count(node.pending))}
        </ActButton>
      )}
      {asking && (
        <Confirm
          title={t.removeTitle(node.name)}
          says={t.removeSays}
          verb={t.removeVerb}
          busy={busy}
          onClose={() => setAsking(false)}
          onConfirm={() => act({ run: () => removeUnprocessed(queue, id), done: t.removed, then: () => setAsking(false) })}
        />
      )}
    </div>
  )
}
