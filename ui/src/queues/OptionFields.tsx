import type { components } from '../api/schema'
import { texts } from '../texts'

const t = texts.queue

/** The options of a job as they are typed. */
export interface Options {
  delay: string
  priority: string
  attempts: string
  jobId: string
  dedupId: string
  dedupSeconds: string
  group: string
}

export const NO_OPTIONS: Options = { delay: '', priority: '', attempts: '', jobId: '', dedupId: '', dedupSeconds: '', group: '' }

type Asked = Partial<Omit<components['schemas']['NewJob'], 'name' | 'data'>>

const NUMBERS = ['delay', 'priority', 'attempts', 'dedupSeconds'] as const
const isNumber = (text: string) => text === '' || (Number(text) >= 0 && Number.isFinite(Number(text)))

/** As the server takes them; null: one of them is no number. */
export function optionsOf(options: Options): Asked | null {
  if (!NUMBERS.every((name) => isNumber(options[name]))) return null
  const given = Object.entries(options).filter(([, text]) => text !== '')
  return Object.fromEntries(given.map(([name, text]) => [name, (NUMBERS as readonly string[]).includes(name) ? Number(text) : text])) as Asked
}

const FIELDS: { name: keyof Options; label: string; hint: string }[] = [
  { name: 'delay', label: t.delay, hint: t.none },
  { name: 'priority', label: t.priority, hint: t.queueDecides },
  { name: 'attempts', label: t.attempts, hint: t.queueDecides },
  { name: 'jobId', label: t.jobId, hint: t.queueGives },
  { name: 'dedupId', label: t.dedupId, hint: t.none },
  { name: 'dedupSeconds', label: t.dedupSeconds, hint: t.untilDone },
  { name: 'group', label: t.group, hint: t.none },
]

/** How the job is to run, behind a fold: most jobs are as their queue says. */
export function OptionFields({ options, onChange }: { options: Options; onChange: (options: Options) => void }) {
  return (
    <details className="options">
      <summary>{t.options}</summary>
      <div className="fields two">
        {FIELDS.map(({ name, label, hint }) => {
          const wrong = (NUMBERS as readonly string[]).includes(name) && !isNumber(options[name])
          return (
            <div key={name} className="option">
              <label htmlFor={`job-${name}`}>{label}</label>
              <input
                id={`job-${name}`}
                className="input"
                placeholder={hint}
                value={options[name]}
                autoComplete="off"
                aria-invalid={wrong}
                title={wrong ? t.wrongNumber : undefined}
                onChange={(event) => onChange({ ...options, [name]: event.target.value })}
              />
            </div>
          )
        })}
      </div>
    </details>
  )
}
