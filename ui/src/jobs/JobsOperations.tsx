import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Glyph, Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { Time } from '../parts/Time'
import { useAct } from '../parts/useAct'
import { useNow } from '../parts/useNow'
import { texts } from '../texts'
import { readOperations, stopOperation, undoDead } from './api'
import { isOver, type JobsOperation, outcome, share } from './bulk'

/** What has ended is told for so long, unless it can be taken back longer. */
const TOLD_SECONDS = 120

/** What is done with many jobs of this queue right now, and what was a moment ago; nothing mostly. */
export function JobsOperations({ queue }: { queue: string }) {
  const queries = useQueryClient()
  const operations = useQuery({
    queryKey: ['operations', queue],
    queryFn: () => readOperations(queue),
    refetchInterval: (query) => (query.state.data?.some((one) => !isOver(one)) ? 500 : 5_000),
  })
  const now = useNow()
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set())
  const running = operations.data?.filter((one) => !isOver(one)).length ?? 0
  const before = useRef(0)
  useEffect(() => {
    if (running < before.current) void queries.invalidateQueries()
    before.current = running
  }, [running, queries])
  const shown = (operations.data ?? []).filter(
    (one) => !dismissed.has(one.id) && (!isOver(one) || now - (one.ended ?? 0) < TOLD_SECONDS || (one.undoUntil ?? 0) > now),
  )
  if (shown.length === 0) return null
  return (
    <ul className="operations" aria-label={texts.joblist.operations} role="status">
      {shown.map((one) => (
        <Operation key={one.id} one={one} now={now} onDismiss={() => setDismissed(new Set([...dismissed, one.id]))} />
      ))}
    </ul>
  )
}

function Operation({ one, now, onDismiss }: { one: JobsOperation; now: number; onDismiss: () => void }) {
  const t = texts.joblist
  const { act, busy } = useAct()
  const may = useMay('operate')
  const done = share(one)
  const over = isOver(one)
  const left = Math.max(0, one.total - one.moved - one.gone)
  return (
    <li>
      {over ? (
        <Glyph name={one.state === 'done' ? 'completed' : 'paused'} className={one.state === 'done' ? 'is-completed' : ''} />
      ) : (
        <Glyph name="active" className="is-active" />
      )}
      <span className="says">
        <b className="strong">{over ? outcome(one) : t.doing[one.kind]}</b>{' '}
        {!over && <span>{done === null ? t.collecting(count(one.total)) : one.state === 'waiting' ? t.waitsForCarrier : t.of(count(one.moved + one.gone), count(one.total))}</span>}{' '}
        <span className="quiet">
          {[
            one.state === 'stopped' ? t.wasStopped(count(left)) : '',
            one.state === 'stopping' ? t.stopping : '',
            !over && one.rate ? t.atPace(count(one.rate)) : '',
            t.by(one.by.replace(/^user:/, '')),
          ]
            .filter(Boolean)
            .join(' · ')}{' '}
          · <Time at={one.ended ?? one.created} />
        </span>
      </span>
      {!over && (
        <progress className="meter" max={1} value={done ?? undefined} aria-label={t.doing[one.kind]} />
      )}
      {may && !over && one.state !== 'stopping' && (
        <ActButton className="btn sm" busy={busy} onClick={() => act({ run: () => stopOperation(one), done: t.stopped(count(left)) })}>
          <Icon name="stop" />
          {t.stop}
        </ActButton>
      )}
      {may && over && (one.undoUntil ?? 0) > now && (
        <ActButton className="btn sm" busy={busy} onClick={() => act({ run: () => undoDead(one.queue, one.id), done: t.undone, then: onDismiss })}>
          {t.undo}
        </ActButton>
      )}
      {over && (
        <button className="icon-btn" title={t.dismiss} aria-label={t.dismiss} onClick={onDismiss}>
          <Icon name="close" />
        </button>
      )}
    </li>
  )
}
