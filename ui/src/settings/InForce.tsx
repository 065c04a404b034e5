import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { answered, api } from '../api/client'
import type { SettingsSearch } from './search'
import { Icon } from '../parts/Icon'
import { SkeletonRows } from '../parts/Skeleton'
import { Staleness } from '../parts/Staleness'
import { texts } from '../texts'
import { find, type Setting } from './settings'

const t = texts.settings

export function InForce() {
  const { q = '', changed = false }: SettingsSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = (changes: SettingsSearch) => void navigate({ to: '/settings', search: { tab: 'force', q: q || undefined, changed: changed || undefined, ...changes }, replace: true })
  const listed = useQuery({ queryKey: ['settings'], queryFn: () => answered(api.GET('/api/v1/settings')), staleTime: 60_000 })
  const groups = find(listed.data?.settings ?? [], q, changed)
  return (
    <>
      <Staleness of={listed} />
      <div className="filter">
        <div className="field">
          <Icon name="search" />
          <input
            id="filter"
            className="bare"
            type="search"
            aria-label={t.search}
            placeholder={t.searchPlaceholder}
            value={q}
            onChange={(event) => set({ q: event.target.value || undefined })}
          />
        </div>
        <label className="check-label">
          <input className="check" type="checkbox" checked={changed} onChange={(event) => set({ changed: event.target.checked || undefined })} /> {t.changed}
        </label>
      </div>
      {listed.isPending && <SkeletonRows rows={8} />}
      {listed.data && groups.length === 0 && (
        <div className="empty">
          <h3>{t.noneFits}</h3>
          <p>{t.noneFitsWhy}</p>
        </div>
      )}
      {groups.length > 0 && (
        <table className="table rows settings">
          <thead>
            <tr>
              <th>{t.name}</th>
              <th>{t.value}</th>
              <th className="c-default">{t.default}</th>
              <th className="c-source">{t.source}</th>
            </tr>
          </thead>
          {groups.map(([group, settings]) => (
            <tbody key={group}>
              <tr className="host">
                <th colSpan={4} scope="rowgroup">
                  {group}
                </th>
              </tr>
              {settings.map((setting) => (
                <Row key={setting.name} setting={setting} />
              ))}
            </tbody>
          ))}
        </table>
      )}
      {listed.data && (
        <p className="pad small quiet below-table">
          {t.ofDashboard} {listed.data.secretsLeftOut > 0 && t.secretsLeftOut(listed.data.secretsLeftOut)}
        </p>
      )}
    </>
  )
}

/** What is between backticks is code. */
function Doc({ text }: { text: string }) {
  return text.split('`').map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part))
}

function Row({ setting }: { setting: Setting }) {
  return (
    <tr>
      <td className="full says">
        <code className={setting.set ? 'strong' : ''}>{setting.name}</code>
        {setting.set && (
          <span className="dot" title={t.changedMark}>
            <span className="sr">{t.changedMark}</span>
          </span>
        )}
        <span className="second">
          <Doc text={setting.doc} />
        </span>
      </td>
      <td data-l={t.value} className="wrap two">
        {setting.secret ? (
          <span className={setting.set ? '' : 'quiet'}>{setting.set ? t.isSet : t.notSet}</span>
        ) : setting.value ? (
          <code className={setting.set ? 'strong' : ''}>{setting.value}</code>
        ) : (
          <span className="quiet">{t.empty}</span>
        )}
      </td>
      <td className="wrap quiet wide-only">{setting.set && !setting.secret && (setting.default ? <code>{setting.default}</code> : t.empty)}</td>
      <td data-l={t.source} className={setting.source === 'default' ? 'two quiet' : 'two'}>
        {t.sources[setting.source]}
      </td>
    </tr>
  )
}
