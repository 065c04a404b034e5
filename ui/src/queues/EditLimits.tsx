import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { count, span } from '../format'
import { changeLimits, type QueueSettings } from '../jobs/api'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'

/** The limits of a queue: what they are now beside what they are to be. They show at once, and Undo takes them back. */
export function EditLimits({ settings, onClose }: { settings: QueueSettings; onClose: () => void }) {
  const t = texts.queue
  const [concurrency, setConcurrency] = useState(settings.concurrency?.toString() ?? '')
  const [jobs, setJobs] = useState(settings.rate?.jobs.toString() ?? '')
  const [per, setPer] = useState((settings.rate ?? settings.declaredRate)?.per.toString() ?? '1')
  const { act, busy } = useAct()
  const queries = useQueryClient()
  const { queue } = settings
  const whole = (text: string) => text === '' || (Number.isInteger(Number(text)) && Number(text) >= 1)
  const before = { concurrency: settings.concurrency, rate: settings.rate }
  const after = {
    concurrency: concurrency === '' ? null : Number(concurrency),
    rate: jobs === '' ? null : { jobs: Number(jobs), per: Number(per) },
  }
  const ready = whole(concurrency) && whole(jobs) && (jobs === '' || Number(per) > 0) && JSON.stringify(before) !== JSON.stringify(after)
  const show = (limits: typeof before) => queries.setQueryData<QueueSettings>(['settings', queue], (now) => now && { ...now, ...limits })
  return (
    <Dialog title={t.limitsOf(queue)} onClose={onClose}>
      <p>{t.limitsSay}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!ready) return
          show(after)
          act({ run: () => changeLimits(queue, after), done: t.limitsChanged(queue), undo: () => changeLimits(queue, before), then: onClose })
        }}
      >
        <div className="fields three">
          <label htmlFor="limit-concurrency">{t.jobsAtOnce}</label>
          <input id="limit-concurrency" className="input" inputMode="numeric" placeholder={t.anyNumber} value={concurrency} onChange={(event) => setConcurrency(event.target.value)} />
          <span className="small quiet">{t.was(before.concurrency === null ? t.none : count(before.concurrency))}</span>
          <label htmlFor="limit-jobs">{t.starts}</label>
          <input id="limit-jobs" className="input" inputMode="numeric" placeholder={t.anyNumber} value={jobs} onChange={(event) => setJobs(event.target.value)} />
          <span className="small quiet">{t.was(before.rate ? t.rate(count(before.rate.jobs), span(before.rate.per)) : t.none)}</span>
          <label htmlFor="limit-per">{t.inSeconds}</label>
          <input id="limit-per" className="input" inputMode="decimal" value={per} disabled={jobs === ''} onChange={(event) => setPer(event.target.value)} />
          <span />
        </div>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {t.close}
          </button>
          <ActButton className="btn primary" disabled={!ready} busy={busy}>
            {t.changeLimits}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}
