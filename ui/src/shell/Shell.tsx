import { useQueryClient } from '@tanstack/react-query'
import { Outlet, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { watchAway } from '../api/away'
import { useSession } from '../api/session'
import { Toasts } from '../parts/Toasts'
import { useLive } from '../parts/useLive'
import { texts } from '../texts'
import { Announcer } from './Announcer'
import { KeyList } from './KeyList'
import type { Keys } from './keys'
import { lay, useOverlay } from './overlay'
import { Palette } from './Palette'
import { Sidebar } from './Sidebar'
import { MoreSheet, TabBar } from './TabBar'
import { toggleTheme } from './theme'
import { useArrival } from './useArrival'
import { useKeyboard, useKeys } from './useKeys'
import { usePlaces } from './usePlaces'

const AddJob = lazy(() => import('../queues/AddJob').then((module) => ({ default: module.AddJob })))

/** What is around every page. */
export function Shell() {
  useLive()
  useWatchAway()
  const session = useSession()
  const overlay = useOverlay()
  useKeyboard()
  useKeysOfTheShell()
  useArrival()
  if (!session.data) return null
  return (
    <div className="shell">
      <a
        className="skip btn"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.getElementById('main')?.focus()
        }}
      >
        {texts.shell.skip}
      </a>
      <Sidebar session={session.data} />
      <main className="main" id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <TabBar />
      <Announcer />
      <Toasts />
      {overlay?.kind === 'palette' && <Palette />}
      {overlay?.kind === 'keys' && <KeyList />}
      {overlay?.kind === 'more' && <MoreSheet session={session.data} />}
      {overlay?.kind === 'add' && (
        <Suspense>
          <AddJob queue={overlay.queue} usual="" onClose={() => lay(null)} />
        </Suspense>
      )}
    </div>
  )
}

/** Every button of every page asks what it finds. */
function useWatchAway(): void {
  const queries = useQueryClient()
  useEffect(() => watchAway(queries.getQueryCache()), [queries])
}

function useKeysOfTheShell(): void {
  const navigate = useNavigate()
  const palette = () => lay({ kind: 'palette' })
  const keys: Keys = {
    '/': { says: texts.keys.search, run: palette },
    'Mod k': { says: texts.keys.commands, run: palette },
    t: { says: texts.keys.theme, run: toggleTheme },
    '?': { says: texts.keys.list, run: () => lay({ kind: 'keys' }) },
  }
  for (const place of usePlaces()) {
    keys[`g ${place.key}`] = { says: place.name, run: () => void navigate({ to: place.to, ...(place.hash ? { hash: place.hash } : {}) }) }
  }
  useKeys(keys)
}
