import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { addJob, readSchema } from '../jobs/api'
import { JsonField, readJson } from '../jobs/EditData'
import { Dialog } from '../parts/Dialog'
import { useAct } from '../parts/useAct'
import { dataOf, type Field, fieldsOf } from './form'

/** A job made by hand: fields where its data has a known shape, JSON in any case. */
export function AddJob({ queue, onClose }: { queue: string; onClose: () => void }) {
  const schema = useQuery({ queryKey: ['schema', queue], queryFn: () => readSchema(queue), staleTime: 60_000 })
  const declared = schema.data?.jobs ?? []
  const [chosen, setName] = useState<string | null>(null)
  const name = chosen ?? schema.data?.names[0] ?? ''
  const fields = fieldsOf((declared.find((job) => job.name === name)?.schema as Record<string, unknown> | undefined) ?? null)
  const [asJson, setAsJson] = useState(false)
  const [texts, setTexts] = useState<Record<string, string>>({})
  const [json, setJson] = useState('{\n  \n}')
  const [delay, setDelay] = useState('')
  const [priority, setPriority] = useState('')
  const { act, busy } = useAct()
  const navigate = useNavigate()
  const byFields = fields !== null && !asJson
  const read = byFields ? ({ ok: true, value: dataOf(fields, texts) } as const) : readJson(json)
  const ready = read.ok && name !== '' && isNumber(delay) && isNumber(priority)

  function submit() {
    if (!read.ok) return
    const body = {
      name, data: read.value,
      ...(delay ? { delay: Number(delay) } : {}),
      ...(priority ? { priority: Number(priority) } : {}),
    }
    let id = ''
    act({
      run: async () => {
        id = (await addJob(queue, body)).id
      },
      done: `A job is added to ${queue}.`,
      then: () => {
        onClose()
        void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id } })
      },
    })
  }

  return (
    <Dialog title={`Add a job to ${queue}`} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) submit()
        }}
      >
        <div className="fields">
          <label htmlFor="job-name">Name</label>
          {declared.length > 0 ? (
            <select id="job-name" className="input" value={name} onChange={(event) => setName(event.target.value)}>
              {declared.map((job) => (
                <option key={job.name}>{job.name}</option>
              ))}
            </select>
          ) : (
            <>
              <input id="job-name" className="input" list="job-names" value={name} autoComplete="off" onChange={(event) => setName(event.target.value)} />
              <datalist id="job-names">{schema.data?.names.map((one) => <option key={one} value={one} />)}</datalist>
            </>
          )}
          {byFields && fields.map((field) => <FieldInput key={field.name} field={field} text={texts[field.name] ?? ''} onChange={(text) => setTexts({ ...texts, [field.name]: text })} />)}
        </div>
        {fields !== null && (
          <button
            type="button"
            className="bare link small"
            onClick={() => {
              if (!asJson) setJson(JSON.stringify(dataOf(fields, texts), null, 2))
              setAsJson(!asJson)
            }}
          >
            {asJson ? 'Fill in fields' : 'Write JSON'}
          </button>
        )}
        {!byFields && <JsonField text={json} onChange={setJson} />}
        <div className="fields two">
          <label htmlFor="job-delay">Delay, seconds</label>
          <input id="job-delay" className="input" inputMode="decimal" placeholder="none" value={delay} onChange={(event) => setDelay(event.target.value)} />
          <label htmlFor="job-priority">Priority</label>
          <input id="job-priority" className="input" inputMode="numeric" placeholder="the queue's" value={priority} onChange={(event) => setPriority(event.target.value)} />
        </div>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            Close
          </button>
          <button className="btn primary" disabled={!ready || busy}>
            Add the job
          </button>
        </div>
      </form>
    </Dialog>
  )
}

const isNumber = (text: string) => text === '' || (Number(text) >= 0 && Number.isFinite(Number(text)))

function FieldInput({ field, text, onChange }: { field: Field; text: string; onChange: (text: string) => void }) {
  const id = `field-${field.name}`
  const choices = field.kind === 'switch' ? ['true', 'false'] : field.choices
  return (
    <>
      <label htmlFor={id} title={field.note}>
        <code>{field.name}</code>
        {!field.required && <span className="quiet"> optional</span>}
      </label>
      {choices.length > 0 ? (
        <select id={id} className="input" value={text} required={field.required} onChange={(event) => onChange(event.target.value)}>
          <option value="" />
          {choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input id={id} className="input" inputMode={field.kind === 'number' ? 'decimal' : undefined} value={text} required={field.required} autoComplete="off" onChange={(event) => onChange(event.target.value)} />
      )}
    </>
  )
}
