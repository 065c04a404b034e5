import { useEffect, useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import type { useDeskActions } from './actions'
import { DiscardDialog } from './DiscardDialog'
import { useBreakers, useDryRun, useLetter } from './desk'
import { breakerFor, errorName, type Group, isOf, isOver, keyOf, type Operation } from './groups'
import { History } from './History'
import { IgnoreDialog } from './IgnoreDialog'
import { Retry } from './Retry'
import { Sample } from './Sample'
import { texts } from '../texts'

const say = texts.dead

interface Props {
  group: Group
  job: string
  now: number
  operations: Operation[]
  /** Who looks may change something. */
  may: boolean
  /** Nothing answers: what can be done stays in its place, and is off. */
  down: boolean
  actions: ReturnType<typeof useDeskActions>
}

/** The chosen group: run it again, or say what is to become of it; one of its jobs; its history. */
export function Rail({ group, job, now, operations, may, down, actions }: Props) {
  const [asking, setAsking] = useState<'ignore' | 'discard' | null>(null)
  const breakers = useBreakers()
  const dryRun = useDryRun(group)
  // The newest when the group was opened, until it is gone: what fails meanwhile does not replace what is read.
  const [sample, setSample] = useState(group.sample)
  const letter = useLetter(group.queue, sample)
  useEffect(() => {
    if (letter.isError && group.sample) setSample(group.sample)
  }, [letter.isError, group.sample])
  const jobs = dryRun.data?.count ?? group.count
  const final = Math.max(0, jobs - (dryRun.data?.binJobs ?? jobs))
  const own = operations.filter((operation) => isOf(operation, group))
  const busy = own.some((operation) => !isOver(operation))
  const discards = new Set(own.map((operation) => operation.id))
  const undos = operations.filter((operation) => discards.has(operation.undoes))
  const discard = () => void actions.discard([group])
  return (
    <aside className="aside" aria-label={say.chosenGroup} key={keyOf(group)}>
      {may && (
        <fieldset className="rail-sec" disabled={down}>
          <div className="head">
            <h2>{say.retryMany(count(jobs))}</h2>
          </div>
          <Retry
            jobs={jobs}
            queue={group.queue}
            breaker={breakerFor(group, letter.data, breakers.data ?? [])}
            disabled={busy}
            onRetry={(pace) => void actions.retry([group], pace)}
          />
          <div className="btn-row below-primary">
            {group.state === 'open' ? (
              <>
                <ActButton className="btn sm" onClick={() => void actions.mark([group], 'resolved')}>
                  {say.resolve}
                </ActButton>
                <ActButton className="btn sm" onClick={() => setAsking('ignore')}>
                  {say.ignoreUntil}
                </ActButton>
              </>
            ) : (
              <ActButton className="btn sm" onClick={() => void actions.mark([group], 'open')}>
                {say.reopen}
              </ActButton>
            )}
            <a className="btn sm" download={`${group.queue}-${group.id}.jsonl`} href={exportOf(group)}>
              {say.export}
            </a>
            <ActButton
              className="btn sm danger last"
              disabled={jobs === 0} busy={busy}
              onClick={() => (final ? setAsking('discard') : discard())}
            >
              {say.discardMany(count(jobs))}
              {final > 0 && '…'}
            </ActButton>
          </div>
        </fieldset>
      )}
      {(job || sample) && <Sample group={group} id={job || sample} key={job || sample} actions={actions} may={may} down={down} />}
      <History group={group} operations={[...own, ...undos]} onNote={!may || down ? undefined : (text) => actions.note(group, text)} />
      {asking === 'ignore' && (
        <IgnoreDialog
          title={say.ignoreTitle(errorName(group.error), group.queue)}
          now={now}
          onClose={() => setAsking(null)}
          onIgnore={(ignore) => void actions.mark([group], 'ignored', ignore)}
        />
      )}
      {asking === 'discard' && (
        <DiscardDialog jobs={jobs} final={final} queue={group.queue} onClose={() => setAsking(null)} onDiscard={discard} />
      )}
    </aside>
  )
}

/** Without data of jobs. */
function exportOf(group: Group): string {
  return `/api/v1/queues/${encodeURIComponent(group.queue)}/dead/export?group=${encodeURIComponent(group.id)}`
}
