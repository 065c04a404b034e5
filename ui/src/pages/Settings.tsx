import { Link, useSearch } from '@tanstack/react-router'
import { useMay, useSession } from '../api/session'
import { Appearance } from '../settings/Appearance'
import { InForce } from '../settings/InForce'
import { Keys } from '../settings/Keys'
import { Sessions } from '../settings/Sessions'
import type { SettingsSearch, Tab } from '../settings/search'
import { Users } from '../settings/Users'
import { Versions } from '../settings/Versions'
import { PageTop } from '../parts/PageTop'
import { texts } from '../texts'

const t = texts.settings

const TABS = {
  force: { asks: 'operate', shows: InForce },
  keys: { asks: 'manage_keys', shows: Keys },
  users: { asks: 'manage_keys', shows: Users },
  versions: { asks: 'operate', shows: Versions },
  sessions: { asks: 'watch', shows: Sessions },
  appearance: { asks: 'watch', shows: Appearance },
} as const satisfies Record<Tab, object>

/** A part for each subject; one sees those that one may see. */
export function Settings() {
  const permissions = useSession().data?.permissions ?? []
  const operates = useMay('operate')
  const { tab }: SettingsSearch = useSearch({ strict: false })
  const open = (Object.keys(TABS) as Tab[]).filter((one) => permissions.includes(TABS[one].asks))
  const current = open.find((one) => one === tab) ?? open[0]
  const Shown = current && TABS[current].shows
  return (
    <>
      <PageTop>{t.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>{t.title}</h1>
          <p className="lead">{current === 'force' ? t.leadForce : operates ? t.lead : t.leadViewer}</p>
        </div>
      </div>
      <nav className="tabs" aria-label={t.tabsLabel}>
        {open.map((one) => (
          <Link key={one} to="/settings" search={{ tab: one }} activeProps={{}} aria-current={one === current ? 'page' : undefined}>
            {t.tabs[one]}
          </Link>
        ))}
      </nav>
      {Shown && <Shown />}
    </>
  )
}
