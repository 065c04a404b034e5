import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { answered, api } from '../api/client'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { useOverview } from '../pages/Overview'
import { say } from '../parts/toasting'
import { capital } from '../format'
import { texts } from '../texts'
import { LIST } from './changes'
import { type Draft, draftOf, EMPTY, onTheWall, read, type Schedule, zones } from './wish'

const t = texts.schedules

const SETTLE_MS = 350

interface Props {
  /** What is edited; null: a new one. */
  was: Schedule | null
  /** Its data, where it may be seen; undefined: it stays as it is. */
  data?: unknown
  onClose: () => void
}

/** Creates or edits a schedule, and says what it would do while it is typed. */
export function ScheduleForm({ was, data, onClose }: Props) {
  const [draft, setDraft] = useState<Draft>(was ? draftOf(was, data) : EMPTY)
  const set = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }))
  const queries = useQueryClient()
  const queues = (useOverview(10_000).data?.queues ?? []).map((queue) => queue.row.queue).sort()
  const unknown = was === null && draft.queue.trim() !== '' && queues.length > 0 && !queues.includes(draft.queue.trim())
  const { wish, problem } = read(draft, was)
  const rhythm = useSettled(wish ? JSON.stringify({ ...wish, data: undefined }) : '')
  const preview = useQuery({
    queryKey: ['schedule preview', rhythm],
    queryFn: () => answered(api.POST('/api/v1/schedules/preview', { body: JSON.parse(rhythm) })),
    enabled: rhythm !== '',
    retry: false,
    staleTime: 30_000,
    placeholderData: (before) => before,
  })
  const save = useMutation({
    mutationFn: () => {
      if (!wish) throw new Error(problem)
      const params = { path: { queue: draft.queue.trim() }, query: { id: draft.id.trim() } }
      return answered(api.PUT('/api/v1/queues/{queue}/schedule', { params, body: wish }))
    },
    onSuccess: (saved) => {
      say(was ? t.changed(saved.id, saved.words) : t.added(saved.id, saved.words))
      void queries.invalidateQueries({ queryKey: LIST })
      void queries.invalidateQueries({ queryKey: ['schedule', saved.queue, saved.id] })
      onClose()
    },
  })
  const wrong = problem ?? save.error?.message ?? preview.error?.message
  const ready = wish !== null && !preview.isError && draft.queue.trim() !== '' && draft.id.trim() !== '' && draft.name.trim() !== ''
  return (
    <Dialog title={was ? t.editTitle(was.id) : t.add} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) save.mutate()
        }}
      >
        {was === null && (
          <>
            <div className="pair">
              <label>
                <span>{t.queue}</span>
                <input className="input" value={draft.queue} onChange={(event) => set({ queue: event.target.value })} required autoFocus list="schedule-queues" autoComplete="off" spellCheck={false} />
                <datalist id="schedule-queues">
                  {queues.map((name) => (
                    <option key={name} value={name} />
                  ))}
                </datalist>
              </label>
              <label>
                <span>{t.jobName}</span>
                <input className="input" value={draft.name} onChange={(event) => set({ name: event.target.value })} required />
              </label>
            </div>
            <label>
              <span>{t.id}</span>
              <input className="input" value={draft.id} onChange={(event) => set({ id: event.target.value })} placeholder={t.idPlaceholder} required />
            </label>
          </>
        )}
        <div className="choice" role="group" aria-label={t.rhythm}>
          <button type="button" aria-pressed={draft.kind === 'cron'} onClick={() => set({ kind: 'cron' })}>
            {t.cron}
          </button>
          <button type="button" aria-pressed={draft.kind === 'every'} onClick={() => set({ kind: 'every' })}>
            {t.every}
          </button>
        </div>
        {draft.kind === 'cron' ? (
          <div className="pair">
            <label>
              <span>{t.cronFields}</span>
              <input className="input mono" value={draft.cron} onChange={(event) => set({ cron: event.target.value })} />
            </label>
            <label>
              <span>{t.zone}</span>
              <ZoneSelect own={was?.tz ?? 'UTC'} value={draft.tz} onChange={(tz) => set({ tz })} />
            </label>
          </div>
        ) : (
          <label>
            <span>{t.everyHint}</span>
            <input className="input mono" value={draft.every} onChange={(event) => set({ every: event.target.value })} />
          </label>
        )}
        <div className="pair">
          <label>
            <span>{t.end}</span>
            <input className="input" type="datetime-local" value={draft.end} onChange={(event) => set({ end: event.target.value })} />
          </label>
          <label>
            <span>{t.limit}</span>
            <input className="input" inputMode="numeric" value={draft.limit} placeholder={t.limitPlaceholder} autoComplete="off" onChange={(event) => set({ limit: event.target.value })} />
          </label>
        </div>
        <label>
          <span>{was ? t.dataAsItIs : t.data}</span>
          <textarea value={draft.data} onChange={(event) => set({ data: event.target.value })} spellCheck={false} placeholder="{}" />
        </label>
        <div className="said" aria-live="polite">
          {wrong ? (
            <span className="is-failed" role="alert">
              {wrong}
            </span>
          ) : (
            preview.data && (
              <>
                <b className="strong">{capital(preview.data.words)}</b>
                {t.nextAt}
                {preview.data.runs.slice(0, 3).map((run) => onTheWall(run)).join(', ') || t.never}
                {unknown && <span className="is-limited">{t.newQueue(draft.queue.trim())}</span>}
              </>
            )
          )}
        </div>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {t.cancel}
          </button>
          <ActButton className="btn primary" disabled={!ready} busy={save.isPending}>
            {was ? t.save : t.addVerb}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}

/** What was typed, once nothing more comes for a while: half an expression is no question. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}

export function ZoneSelect({ own, value, onChange, className }: { own: string; value: string; onChange: (zone: string) => void; className?: string }) {
  return (
    <select className={className} value={value} onChange={(event) => onChange(event.target.value)} aria-label={t.zone}>
      {zones(own).map((zone) => (
        <option key={zone}>{zone}</option>
      ))}
    </select>
  )
}
