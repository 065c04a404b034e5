import { useState } from 'react'
import { parseJson } from '../api/exact'
import { ActButton } from '../parts/ActButton'
import { texts } from '../texts'

const says = texts.job

interface Props {
  value: unknown
  verb: string
  busy: boolean
  onClose: () => void
  onDone: (data: unknown) => void
}

/** JSON as a text to change; wrong JSON cannot be sent, and says where it is wrong. */
export function EditData({ value, verb, busy, onClose, onDone }: Props) {
  const [text, setText] = useState(JSON.stringify(value, null, 2))
  const read = readJson(text)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (read.ok) onDone(read.value)
      }}
    >
      <JsonField text={text} onChange={setText} />
      <div className="btn-row">
        <button type="button" className="btn" onClick={onClose}>
          {says.keepIt}
        </button>
        <ActButton className="btn primary" disabled={!read.ok} busy={busy}>
          {verb}
        </ActButton>
      </div>
    </form>
  )
}

export function JsonField({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  const read = readJson(text)
  return (
    <label className="json">
      {says.dataAsJson}
      <textarea className="input" rows={12} spellCheck={false} autoComplete="off" aria-invalid={!read.ok} value={text} onChange={(event) => onChange(event.target.value)} />
      <span className="small is-failed" role="status">
        {read.ok ? ' ' : read.wrong}
      </span>
    </label>
  )
}

export function readJson(text: string): { ok: true; value: unknown } | { ok: false; wrong: string } {
  try {
    return { ok: true, value: parseJson(text || 'null') }
  } catch (error) {
    return { ok: false, wrong: (error as Error).message }
  }
}
