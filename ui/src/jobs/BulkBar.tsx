import { useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'
import { changeMany, type Listed, type Many } from './api'
import { AskNumber } from './AskNumber'
import { BulkDialog } from './BulkDialog'
import { FITTING, isFinal, isTyped, type Kind, MOST_NAMED } from './bulk'

interface Props {
  listed: Listed
  picked: ReadonlySet<string>
  /** How many match in all, if that is known. */
  matching: number | null
  onClear: () => void
}

/** What can be done to the chosen jobs, or to all that match. */
export function BulkBar({ listed, picked, matching, onClear }: Props) {
  const t = texts.joblist
  const [all, setAll] = useState(false)
  const [asking, setAsking] = useState<Kind | null>(null)
  const { act, busy } = useAct()
  const may = useMay('operate')
  const close = () => setAsking(null)
  const n = count(picked.size)
  const many = all || picked.size > MOST_NAMED

  function run(action: Kind, values: { priority?: number; delay?: number } = {}) {
    let ended = { done: 0, failed: 0, some: [] as { id: string; why: string }[] }
    const body: Many = { action, ids: [...picked], priority: 0, delay: 0, reason: '', ...values }
    act({
      run: async () => {
        ended = await changeMany(listed.queue, body)
      },
      done: '',
      then: () => {
        say([t.did[action](count(ended.done)), ...(ended.failed ? [t.someStayed(count(ended.failed), ended.some[0]!.why)] : [])].join('. '))
        close()
        onClear()
      },
    })
  }

  return (
    <>
      <div className="bulk" role="toolbar" aria-label={t.bulk}>
        <span>
          <b className="strong">{many ? t.everyOne : t.selected(n)}</b>{' '}
          {!many && (
            <>
              <span className="dim">{t.or}</span>{' '}
              <button className="bare under" onClick={() => setAll(true)}>
                {t.allThatMatch(matching === null ? null : count(matching))}
              </button>
            </>
          )}
        </span>
        {may &&
          FITTING[listed.state]?.map((action) => (
            <ActButton
              key={action}
              className="btn sm"
              busy={busy}
              onClick={() => (!many && (action === 'retry' || action === 'promote') ? run(action) : setAsking(action))}
            >
              {t.verbs[action]}
            </ActButton>
          ))}
        <button className="icon-btn inherit" title={t.clearSelection} aria-label={t.clearSelection} onClick={onClear}>
          <Icon name="close" />
        </button>
      </div>
      {asking && many && <BulkDialog kind={asking} listed={listed} onClose={close} onBegun={onClear} />}
      {asking && !many && (asking === 'cancel' || asking === 'remove') && (
        <Confirm
          title={t.titles[asking](t.jobs(n))}
          says={t.means[isFinal(asking, listed.state) ? asking : 'remove']}
          verb={t.beginN(t.begin[asking], n)}
          typed={isTyped(asking, listed.state, picked.size) ? listed.queue : undefined}
          busy={busy}
          onClose={close}
          onConfirm={() => run(asking)}
        />
      )}
      {asking === 'priority' && !many && (
        <AskNumber title={t.titles.priority(t.jobs(n))} label={t.means.priority} value={1} most={2_097_151} verb={t.begin.priority} busy={busy} onClose={close} onDone={(priority) => run('priority', { priority })} />
      )}
      {asking === 'delay' && !many && (
        <AskNumber title={t.titles.delay(t.jobs(n))} label={t.seconds} value={60} most={31_622_400} verb={t.begin.delay} busy={busy} onClose={close} onDone={(delay) => run('delay', { delay })} />
      )}
    </>
  )
}
