import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import { until } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Glyph, Icon } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { SkeletonRows } from '../parts/Skeleton'
import { Staleness } from '../parts/Staleness'
import { Time } from '../parts/Time'
import { failed, say } from '../parts/toasting'
import { texts } from '../texts'
import { NewKeyDialog, RotateDialog, SecretDialog } from './KeyDialogs'
import { endsSoon, inOrder, type Key } from './settings'

const t = texts.settings
const KEYS = ['keys'] as const

type Open = { dialog: 'new' } | { dialog: 'rotate' | 'revoke'; key: Key } | { dialog: 'secret'; name: string; secret: string }

export function Keys() {
  const listed = useQuery({ queryKey: KEYS, queryFn: () => answered(api.GET('/api/v1/keys')), refetchInterval: 15_000 })
  const queries = useQueryClient()
  const [open, setOpen] = useState<Open | null>(null)
  const close = () => setOpen(null)
  const look = () => void queries.invalidateQueries({ queryKey: KEYS })
  const made = ({ key, secret }: { key: Key; secret: string }) => {
    look()
    setOpen({ dialog: 'secret', name: key.name, secret })
  }
  const revoke = async (key: Key) => {
    close()
    try {
      await answered(api.DELETE('/api/v1/keys/{key}', { params: { path: { key: key.id } } }))
      say(t.revoked(key.name))
    } catch (error) {
      failed(t.notRevoked, error)
    }
    look()
  }
  const keys = inOrder(listed.data?.keys ?? [])
  const off = listed.isError
  return (
    <>
      <Staleness of={listed} />
      <div className="pad head">
        <p className="small quiet">{t.keysLead}</p>
        {!off && (
          <span className="right">
            <ActButton className="btn primary" onClick={() => setOpen({ dialog: 'new' })}>
              <Icon name="add" />
              {t.newKey}
            </ActButton>
          </span>
        )}
      </div>
      {listed.isPending && <SkeletonRows />}
      {listed.data && keys.length === 0 && (
        <div className="empty">
          <h3>{t.noKeys}</h3>
          <p>{t.noKeysWhy}</p>
        </div>
      )}
      {keys.length > 0 && (
        <table className="table rows keys">
          <thead>
            <tr>
              <th>{t.key}</th>
              <th>{t.role}</th>
              <th>{t.scope}</th>
              <th>{t.rate}</th>
              <th>{t.expires}</th>
              <th>{t.lastUsed}</th>
              <th>
                <span className="sr">{t.actions}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <KeyLine key={key.id} of={key} off={off} onRotate={() => setOpen({ dialog: 'rotate', key })} onRevoke={() => setOpen({ dialog: 'revoke', key })} />
            ))}
          </tbody>
        </table>
      )}
      {open?.dialog === 'new' && <NewKeyDialog onClose={close} onMade={made} />}
      {open?.dialog === 'rotate' && <RotateDialog of={open.key} onClose={close} onMade={made} />}
      {open?.dialog === 'secret' && <SecretDialog name={open.name} secret={open.secret} onClose={close} />}
      {open?.dialog === 'revoke' && (
        <Confirm title={t.revokeTitle(open.key.name)} says={t.revokeSays} verb={t.revokeVerb} onClose={close} onConfirm={() => void revoke(open.key)} />
      )}
    </>
  )
}

function KeyLine({ of: key, off, onRotate, onRevoke }: { of: Key; off: boolean; onRotate: () => void; onRevoke: () => void }) {
  const now = Date.now() / 1000
  const over = key.state === 'expired' || key.state === 'revoked'
  const glyph = key.state === 'active' ? 'key' : over ? 'failed' : 'delayed'
  return (
    <tr className={over ? 'over' : ''}>
      <td className="name">
        <span className="qname">
          <Glyph name={glyph} className="quiet" />
          <b>{key.name}</b>
          <span className="second">
            {t.states[key.state as keyof typeof t.states] ?? key.state} · <span className="mono">{key.id}</span>
            {key.note && ` · ${key.note}`}
          </span>
        </span>
      </td>
      <td data-l={t.role}>{key.role}</td>
      <td data-l={t.scope} className="wrap">
        {key.queues?.join(', ') ?? <span className="quiet">{t.allQueues}</span>}
      </td>
      <td data-l={t.rate}>{key.rate ?? <span className="quiet">{t.noRate}</span>}</td>
      <td data-l={t.expires}>
        {key.state === 'revoked' && key.revoked !== null ? (
          <Time at={key.revoked} relative />
        ) : key.expires === null ? (
          <span className="quiet">{t.never}</span>
        ) : over ? (
          <Time at={key.expires} relative />
        ) : (
          <span className={endsSoon(key, now) ? 'is-limited' : ''} title={new Date(key.expires * 1000).toISOString()}>
            {until(key.expires, now)}
          </span>
        )}
      </td>
      <td data-l={t.lastUsed}>
        {key.lastUsed === null ? <span className="quiet">{t.notUsed}</span> : <Time at={key.lastUsed} relative />}
        <span className="second">{t.by(key.createdBy)}</span>
      </td>
      <td className="num act">
        <div className="btn-row">
          {!over && !off && (
            <Menu
              label={t.actionsOf(key.name)}
              choices={[
                ...(key.state === 'active' ? [{ name: t.rotate, icon: 'retry' as const, run: onRotate }] : []),
                { name: t.revoke, icon: 'close' as const, danger: true, run: onRevoke },
              ]}
            />
          )}
        </div>
      </td>
    </tr>
  )
}
