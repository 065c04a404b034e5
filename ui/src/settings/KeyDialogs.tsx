import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { EMPTY_KEY, type Key, type KeyDraft, keyOf } from './settings'

const t = texts.settings

interface Made {
  key: Key
  secret: string
}

export function NewKeyDialog({ onClose, onMade }: { onClose: () => void; onMade: (made: Made) => void }) {
  const [draft, setDraft] = useState<KeyDraft>(EMPTY_KEY)
  const set = (part: Partial<KeyDraft>) => setDraft((before) => ({ ...before, ...part }))
  const make = useMutation({
    mutationFn: () => answered(api.POST('/api/v1/keys', { body: keyOf(draft, Date.now() / 1000) })),
    onSuccess: onMade,
  })
  return (
    <Dialog title={t.newKey} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <label>
          <span>{t.keyName}</span>
          <input className="input" autoFocus required maxLength={64} pattern="[A-Za-z0-9._\-]+" autoComplete="off" spellCheck={false} value={draft.name} onChange={(event) => set({ name: event.target.value })} />
        </label>
        <fieldset className="choices">
          <legend>{t.keyRole}</legend>
          {(Object.keys(t.roles) as KeyDraft['role'][]).map((role) => (
            <label key={role}>
              <input type="radio" name="role" checked={draft.role === role} onChange={() => set({ role })} /> <b className="strong">{role}</b> <i className="muted">{t.roles[role]}</i>
            </label>
          ))}
        </fieldset>
        <label>
          <span>{t.keyQueues}</span>
          <input className="input" value={draft.queues} placeholder={t.keyQueuesPlaceholder} autoComplete="off" spellCheck={false} onChange={(event) => set({ queues: event.target.value })} />
        </label>
        <div className="pair">
          <label>
            <span>{t.keyDays}</span>
            <select value={draft.days} onChange={(event) => set({ days: Number(event.target.value) })}>
              {t.days.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            <span>{t.keyRate}</span>
            <input className="input" value={draft.rate} placeholder={t.keyRatePlaceholder} autoComplete="off" onChange={(event) => set({ rate: event.target.value })} />
          </label>
        </div>
        <label>
          <span>{t.keyNote}</span>
          <input className="input" maxLength={200} value={draft.note} autoComplete="off" onChange={(event) => set({ note: event.target.value })} />
        </label>
        {make.isError && (
          <p className="is-failed" role="alert">
            {make.error.message}
          </p>
        )}
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {t.cancel}
          </button>
          <ActButton className="btn primary" busy={make.isPending}>
            {t.create}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}

export function RotateDialog({ of: key, onClose, onMade }: { of: Key; onClose: () => void; onMade: (made: Made) => void }) {
  const [overlap, setOverlap] = useState('86400')
  const rotate = useMutation({
    mutationFn: () => answered(api.POST('/api/v1/keys/{key}/rotate', { params: { path: { key: key.id } }, body: { overlap: Number(overlap) } })),
    onSuccess: onMade,
  })
  return (
    <Dialog title={t.rotateTitle(key.name)} onClose={onClose}>
      <p>{t.rotateSays}</p>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          rotate.mutate()
        }}
      >
        <label>
          <span>{t.overlap}</span>
          <select value={overlap} onChange={(event) => setOverlap(event.target.value)}>
            {t.overlaps.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {rotate.isError && (
          <p className="is-failed" role="alert">
            {rotate.error.message}
          </p>
        )}
        <div className="btn-row">
          <button type="button" className="btn" autoFocus onClick={onClose}>
            {t.cancel}
          </button>
          <ActButton className="btn primary" busy={rotate.isPending}>
            {t.rotateVerb}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}

/** The one time that a secret is shown; a click beside it or Escape does not take it away. */
export function SecretDialog({ name, secret, onClose }: { name: string; secret: string; onClose: () => void }) {
  const [copied, setCopied] = useState(false)
  return (
    <Dialog title={t.secretTitle(name)} onClose={() => undefined}>
      <p>{t.secretSays}</p>
      <div className="secret">
        <input className="input mono" readOnly aria-label={t.secretLabel} value={secret} onFocus={(event) => event.target.select()} />
        <button className="btn" autoFocus onClick={() => void navigator.clipboard?.writeText(secret).then(() => setCopied(true))}>
          <Icon name="copy" />
          {t.copy}
        </button>
      </div>
      <p className="small" role="status">
        {copied && t.copied}
      </p>
      <div className="btn-row">
        <button className="btn primary" onClick={onClose}>
          {t.done}
        </button>
      </div>
    </Dialog>
  )
}
