import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { addJob, readSchema } from '../jobs/api'
import { copyAs } from '../jobs/copyAs'
import { JsonField, readJson } from '../jobs/EditData'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { say } from '../parts/toasting'
import { texts } from '../texts'
import { formOf, type Schema, startOf, wrongAt } from './form'
import { NO_OPTIONS, type Options, OptionFields, optionsOf } from './OptionFields'
import { SchemaForm } from './SchemaForm'

const t = texts.queue

/** A job made by hand: fields where its data has a known shape, JSON in any case; both show the same data. It begins with the `usual` name. */
export function AddJob({ queue, usual, onClose }: { queue: string; usual: string; onClose: () => void }) {
  const schema = useQuery({ queryKey: ['schema', queue], queryFn: () => readSchema(queue), staleTime: 60_000 })
  const declared = schema.data?.jobs ?? []
  const [chosen, setName] = useState<string | null>(null)
  // What is typed stays: which name is the usual one may change while the form is open.
  const [first] = useState(usual)
  const names = schema.data?.names ?? []
  const name = chosen ?? names.find((one) => one === first) ?? names[0] ?? ''
  const job = declared.find((one) => one.name === name)
  const form = formOf((job?.schema as Schema | undefined) ?? null)
  const takesNone = job !== undefined && job.schema === null
  const [asJson, setAsJson] = useState(false)
  /** What was written for each name. */
  const [written, setWritten] = useState<Record<string, unknown>>({})
  const [text, setText] = useState<string | null>(null)
  const [options, setOptions] = useState<Options>(NO_OPTIONS)
  const [refused, setRefused] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const queries = useQueryClient()
  const navigate = useNavigate()

  const byFields = form !== null && !asJson
  const data = takesNone ? null : name in written ? written[name] : form ? startOf(form) : {}
  const json = text ?? JSON.stringify(data, null, 2)
  const read = byFields ? { ok: true as const, value: data } : readJson(json)
  const asked = optionsOf(options)
  const ready = read.ok && name !== '' && asked !== null
  const wrong = refused === null ? null : wrongAt(refused)

  // What is wrong may be out of sight in a long form.
  useEffect(() => {
    if (refused === null) return
    const place = document.querySelector<HTMLElement>('.dialog [aria-invalid=true]') ?? document.querySelector<HTMLElement>('.dialog [role=alert]')
    place?.scrollIntoView({ block: 'center' })
    place?.focus({ preventScroll: true })
  }, [refused])

  function write(next: unknown) {
    setWritten({ ...written, [name]: next })
    setRefused(null)
  }

  async function submit() {
    if (!read.ok || asked === null) return
    setBusy(true)
    try {
      const added = await addJob(queue, { name, data: read.value, ...asked })
      say(added.existed ? t.existed(added.id) : t.added(queue))
      onClose()
      void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: added.id } })
    } catch (error) {
      setRefused((error as Error).message)
    } finally {
      setBusy(false)
      void queries.invalidateQueries()
    }
  }

  const copy = (kind: 'curl' | 'Python') => {
    if (!read.ok) return
    const priority = asked?.priority ?? 0
    void navigator.clipboard.writeText(copyAs(kind, { queue, name, data: read.value, priority })).then(() => say(t.copied(kind)))
  }

  return (
    <Dialog title={t.addTitle(queue)} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) void submit()
        }}
      >
        <div className="fields">
          <label htmlFor="job-name">{t.name}</label>
          {declared.length > 0 ? (
            <select id="job-name" className="input" value={name} onChange={(event) => setName(event.target.value)}>
              {declared.map((one) => (
                <option key={one.name}>{one.name}</option>
              ))}
            </select>
          ) : (
            <>
              <input id="job-name" className="input" list="job-names" value={name} autoComplete="off" onChange={(event) => setName(event.target.value)} />
              <datalist id="job-names">{schema.data?.names.map((one) => <option key={one} value={one} />)}</datalist>
            </>
          )}
        </div>
        {form !== null && (
          <div className="seg" role="group" aria-label={t.howToWrite}>
            {[false, true].map((one) => (
              <button
                key={String(one)}
                type="button"
                aria-pressed={asJson === one}
                disabled={!read.ok}
                onClick={() => {
                  if (read.ok) write(read.value)
                  setText(null)
                  setAsJson(one)
                }}
              >
                {one ? t.asJson : t.asFields}
              </button>
            ))}
          </div>
        )}
        {takesNone ? (
          <p className="quiet">{t.noData}</p>
        ) : byFields ? (
          <SchemaForm key={name} form={form} data={data} wrong={wrong} onChange={write} />
        ) : (
          <JsonField
            text={json}
            onChange={(next) => {
              setText(next)
              const value = readJson(next)
              if (value.ok) write(value.value)
            }}
          />
        )}
        {refused !== null && (!byFields || wrong === null || wrong.path === '') && (
          <p className="is-failed small" role="alert">
            {refused}
          </p>
        )}
        <OptionFields options={options} onChange={setOptions} />
        <div className="btn-row copies">
          <button type="button" className="btn sm" disabled={!ready} onClick={() => copy('curl')}>
            {t.copyCurl}
          </button>
          <button type="button" className="btn sm" disabled={!ready} onClick={() => copy('Python')}>
            {t.copyPython}
          </button>
          <span className="push" />
          <button type="button" className="btn" onClick={onClose}>
            {t.close}
          </button>
          <ActButton className="btn primary" disabled={!ready} busy={busy}>
            {t.add}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}
