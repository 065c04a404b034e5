import { useEffect, useState } from 'react'
import { parseJson } from '../api/exact'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { at, type Field, type Path, put, startOf } from './form'

const t = texts.queue

interface Props {
  form: Field
  data: unknown
  /** What the server says is wrong, and where. */
  wrong: { path: string; says: string } | null
  onChange: (data: unknown) => void
}

/** Fields for the data of a job, by its schema. */
export function SchemaForm({ form, data, wrong, onChange }: Props) {
  return (
    <div className="schema">
      {form.fields.map((field) => (
        <One key={field.name} field={field} path={[field.name]} data={data} wrong={wrong} onChange={onChange} />
      ))}
    </div>
  )
}

interface OneProps extends Omit<Props, 'form'> {
  field: Field
  path: Path
}

function One({ field, path, data, wrong, onChange }: OneProps) {
  const value = at(data, path)
  const id = `field-${path.join('-')}`
  const there = value !== undefined
  const says = wrong?.path === path.join('.') ? wrong.says : null
  const set = (next: unknown) => onChange(put(data, path, next))
  const described = [field.note, !field.required && field.otherwise != null && JSON.stringify(field.otherwise) !== '[]' && JSON.stringify(field.otherwise) !== '{}' ? t.defaultIs(JSON.stringify(field.otherwise)) : ''].filter(Boolean).join('; ')
  const name = (
    <>
      <code>{field.name}</code>
      {!field.required && <span className="quiet"> {t.optional}</span>}
    </>
  )
  const below = (
    <>
      {described && <span className="small quiet note">{described}</span>}
      {says && (
        <span className="small is-failed note" id={`${id}-wrong`} role="alert">
          {says}
        </span>
      )}
    </>
  )
  if (field.kind === 'object' || field.kind === 'list') {
    return (
      <fieldset className="nested">
        <legend>
          {field.required ? (
            name
          ) : (
            <label>
              <input type="checkbox" className="check" checked={there} onChange={(event) => set(event.target.checked ? startOf(field) : undefined)} /> {name}
            </label>
          )}
        </legend>
        {below}
        {there && field.kind === 'object' && field.fields.map((one) => <One key={one.name} field={one} path={[...path, one.name]} data={data} wrong={wrong} onChange={onChange} />)}
        {there && field.kind === 'list' && <List field={field} path={path} data={data} wrong={wrong} onChange={onChange} />}
      </fieldset>
    )
  }
  return (
    <div className="one">
      <label htmlFor={id}>{name}</label>
      <div>
        <Input id={id} field={field} value={value} invalid={says !== null} onChange={set} />
        {below}
      </div>
    </div>
  )
}

function List({ field, path, data, wrong, onChange }: OneProps) {
  const values = (at(data, path) as unknown[] | undefined) ?? []
  const item = field.item!
  return (
    <>
      {values.map((_, index) => (
        <div key={index} className="item">
          <div>
            <One field={{ ...item, name: String(index + 1) }} path={[...path, index]} data={data} wrong={wrong} onChange={onChange} />
          </div>
          <button type="button" className="icon-btn" aria-label={t.removeItem(field.name, index + 1)} title={t.removeItem(field.name, index + 1)} onClick={() => onChange(put(data, [...path, index], undefined))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      <button type="button" className="btn sm" onClick={() => onChange(put(data, [...path, values.length], startOf(item)))}>
        <Icon name="add" />
        {t.addItem(field.name)}
      </button>
    </>
  )
}

interface InputProps {
  id: string
  field: Field
  value: unknown
  invalid: boolean
  onChange: (value: unknown) => void
}

function Input({ id, field, value, invalid, onChange }: InputProps) {
  const common = { id, className: 'input', 'aria-invalid': invalid, 'aria-describedby': invalid ? `${id}-wrong` : undefined }
  if (field.kind === 'choice' || field.kind === 'switch') {
    const choices = field.kind === 'switch' ? [true, false] : field.choices
    return (
      <select {...common} value={value === undefined ? '' : JSON.stringify(value)} onChange={(event) => onChange(event.target.value === '' ? undefined : (JSON.parse(event.target.value) as unknown))}>
        {!field.required && <option value="">{t.leaveOut}</option>}
        {choices.map((choice) => (
          <option key={String(choice)} value={JSON.stringify(choice)}>
            {String(choice)}
          </option>
        ))}
      </select>
    )
  }
  if (field.kind === 'text') {
    return <input {...common} value={typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value)} autoComplete="off" placeholder={field.required ? '' : t.leaveOut} onChange={(event) => onChange(event.target.value === '' && !field.required ? undefined : event.target.value)} />
  }
  return <JsonInput {...common} field={field} value={value} onChange={onChange} />
}

/** A number or any JSON: what is typed stays as typed, and counts once it can be read. */
function JsonInput({ field, value, onChange, ...common }: Omit<InputProps, 'invalid'> & { className: string }) {
  const shown = value === undefined ? '' : JSON.stringify(value)
  const [text, setText] = useState(shown)
  const read = parsed(text)
  useEffect(() => {
    if (JSON.stringify(parsed(text).value) !== JSON.stringify(value)) setText(shown)
  }, [shown])
  return (
    <>
      <input
        {...common}
        className={field.kind === 'json' ? 'input mono' : 'input'}
        inputMode={field.kind === 'number' ? 'decimal' : undefined}
        value={text}
        autoComplete="off"
        placeholder={field.required ? '' : t.leaveOut}
        onChange={(event) => {
          setText(event.target.value)
          const next = parsed(event.target.value)
          if (next.ok) onChange(next.value)
        }}
      />
      {!read.ok && <span className="small is-failed note">{t.noJson}</span>}
    </>
  )
}

function parsed(text: string): { ok: boolean; value?: unknown } {
  if (text.trim() === '') return { ok: true, value: undefined }
  try {
    return { ok: true, value: parseJson(text) }
  } catch {
    return { ok: false }
  }
}
