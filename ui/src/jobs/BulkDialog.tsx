import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { toast } from '../parts/toasting'
import type { QueueRow } from '../queues/trouble'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'
import { beginOperation, countJobs, type Listed } from './api'
import { isFinal, isTyped, type Kind, PACES } from './bulk'
import { stateOf } from './states'

/** A dry run looks at so many jobs by itself, then asks. */
const COUNTED_BY_ITSELF = 100_000

const MOST: Partial<Record<Kind, number>> = { priority: 2_097_151, delay: 31_622_400 }

interface Props {
  kind: Kind
  listed: Listed
  onClose: () => void
  onBegun: () => void
}

/** Counts what an operation would be about, shows some of it, and begins it. */
export function BulkDialog({ kind, listed, onClose, onBegun }: Props) {
  const t = texts.joblist
  const { queue, state, filter } = listed
  const filtered = Object.keys(filter).length > 0
  const [value, setValue] = useState(kind === 'delay' ? '60' : '1')
  const [pace, setPace] = useState(0)
  const [typed, setTyped] = useState('')
  const { act, busy } = useAct()
  const queries = useQueryClient()
  const held = queries.getQueryData<QueueRow>(['queue', queue])?.states['held'] ?? 0
  const dry = useInfiniteQuery({
    queryKey: ['dry-run', queue, state, JSON.stringify(filter)],
    queryFn: ({ pageParam }) => countJobs(listed, pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.cursor,
    gcTime: 0,
  })
  const pages = dry.data?.pages ?? []
  const last = pages.at(-1)
  const fit = pages.reduce((sum, page) => sum + page.count, 0)
  const whole = last !== undefined && last.cursor === null
  const { hasNextPage, isFetching, fetchNextPage } = dry
  useEffect(() => {
    if (last && hasNextPage && !isFetching && last.searched < COUNTED_BY_ITSELF) void fetchNextPage()
  }, [last, hasNextPage, isFetching, fetchNextPage])

  const most = MOST[kind]
  const number = Number(value)
  const valid = most === undefined || (value.trim() !== '' && Number.isInteger(number) && number >= 0 && number <= most)
  const asksName = isTyped(kind, state, whole ? fit : Infinity)
  const ready = valid && (!asksName || typed === queue) && last !== undefined && (fit > 0 || !whole)
  const jobs = `${count(fit)}${whole ? '' : '+'}`
  const final = isFinal(kind, state)
  const begin = () =>
    act({
      run: () => beginOperation(listed, kind, { priority: kind === 'priority' ? number : 0, delay: kind === 'delay' ? number : 0, rate: PACES[pace] ?? null }),
      done: t.begun,
      then: () => {
        toast(null)
        void queries.invalidateQueries({ queryKey: ['operations', queue] })
        onBegun()
      },
    })
  return (
    <Dialog title={t.titles[kind](t.jobsInState(stateOf(state).name.toLowerCase(), filtered))} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) begin()
        }}
      >
        <p>
          {kind === 'remove' && !final ? t.toBin : t.means[kind]}
          {kind === 'promote' && !filtered && held > 0 && ` ${t.heldAmong(count(held))}`}
        </p>
        <div className="fields">
          {most !== undefined && (
            <>
              <label htmlFor="bulk-value">{kind === 'delay' ? t.seconds : t.priority}</label>
              <input id="bulk-value" className="input" inputMode="numeric" value={value} aria-invalid={!valid} onChange={(event) => setValue(event.target.value)} />
            </>
          )}
          <label htmlFor="bulk-pace">{t.speed}</label>
          <select id="bulk-pace" className="input" value={pace} onChange={(event) => setPace(Number(event.target.value))}>
            {PACES.map((one, at) => (
              <option key={at} value={at}>
                {t.pace(one === null ? null : count(one))}
              </option>
            ))}
          </select>
        </div>
        <div className="note-box dry-run" role="status">
          <b className="strong">{t.dryRun}</b>{' '}
          {dry.error ? (
            <span className="is-failed">{dry.error.message}</span>
          ) : !last ? (
            t.searching
          ) : whole ? (
            filtered ? t.counted(count(fit), count(last.total)) : t.countedAll(count(fit))
          ) : (
            t.counting(count(fit), count(last.searched), count(last.total))
          )}{' '}
          {last && !whole && !isFetching && last.searched >= COUNTED_BY_ITSELF && (
            <button type="button" className="bare link" onClick={() => void fetchNextPage()}>
              {t.countOn}
            </button>
          )}
          <ol className="sample" aria-label={t.sample}>
            {pages
              .flatMap((page) => page.sample)
              .slice(0, 5)
              .map((job) => (
                <li key={job.id}>
                  <code>{job.id}</code> {job.name}{' '}
                  <span className="quiet mono">{job.preview?.map((field) => `${field.name} ${field.value}`).join(' ')}</span>
                </li>
              ))}
          </ol>
          <p className="quiet">{t.goesOn}</p>
        </div>
        {asksName && (
          <label>
            {texts.parts.typeBefore} <code>{queue}</code> {texts.parts.typeAfter}
            <input className="input" value={typed} autoComplete="off" spellCheck={false} onChange={(event) => setTyped(event.target.value)} />
          </label>
        )}
        <div className="btn-row">
          <button type="button" className="btn" autoFocus={final} onClick={onClose}>
            {t.keep}
          </button>
          <ActButton className={`btn ${final ? 'danger solid' : 'primary'}`} disabled={!ready} busy={busy}>
            {t.beginN(t.begin[kind], jobs)}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}
