import './styles'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Alerts } from './pages/Alerts'
import { Audit } from './pages/Audit'
import { Job } from './pages/Job'
import { DeadLetters, readDeadSearch } from './pages/DeadLetters'
import { Flows, readFlowSearch } from './pages/Flows'
import { Outbox, readOutboxSearch } from './pages/Outbox'
import { Events, readEventsSearch } from './pages/Events'
import { Overview } from './pages/Overview'
import { Queue, readSearch } from './pages/Queue'
import { Checklist } from './pages/Checklist'
import { Redis } from './pages/Redis'
import { Schedules } from './pages/Schedules'
import { Workers } from './pages/Workers'
import { readSettingsSearch, Settings } from './pages/Settings'
import { apply, readPreferences } from './settings/preferences'
import { Shell } from './shell/Shell'

const root = createRootRoute({ component: Shell })
const routes = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: Overview }),
  createRoute({ getParentRoute: () => root, path: '/dead', component: DeadLetters, validateSearch: readDeadSearch }),
  createRoute({ getParentRoute: () => root, path: '/alerts', component: Alerts }),
  createRoute({ getParentRoute: () => root, path: '/events', component: Events, validateSearch: readEventsSearch }),
  createRoute({ getParentRoute: () => root, path: '/audit', component: Audit }),
  createRoute({ getParentRoute: () => root, path: '/queues/$queue', component: Queue, validateSearch: readSearch }),
  createRoute({ getParentRoute: () => root, path: '/queues/$queue/jobs/$id', component: Job }),
  createRoute({ getParentRoute: () => root, path: '/workers', component: Workers }),
  createRoute({ getParentRoute: () => root, path: '/schedules', component: Schedules }),
  createRoute({ getParentRoute: () => root, path: '/flows', component: Flows, validateSearch: readFlowSearch }),
  createRoute({ getParentRoute: () => root, path: '/outbox', component: Outbox, validateSearch: readOutboxSearch }),
  createRoute({ getParentRoute: () => root, path: '/redis', component: Redis }),
  createRoute({ getParentRoute: () => root, path: '/checklist', component: Checklist }),
  createRoute({ getParentRoute: () => root, path: '/settings', component: Settings, validateSearch: readSettingsSearch }),
])
const router = createRouter({ routeTree: routes, defaultPreload: 'intent' })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

const queries = new QueryClient({ defaultOptions: { queries: { retry: 1, staleTime: 2_000 } } })

apply(readPreferences())

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
