import './styles'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRootRoute, createRoute, createRouter, lazyRouteComponent as later, RouterProvider } from '@tanstack/react-router'
import { isRefusal } from './api/client'
import { readAuditSearch } from './audit/search'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { readDeadSearch } from './dead/search'
import { BrokenPage } from './pages/BrokenPage'
import { NoPage } from './pages/NoPage'
import { Overview } from './pages/Overview'
import { readEventsSearch } from './events/search'
import { readFlowSearch } from './flows/search'
import { readOutboxSearch } from './outbox/search'
import { readOverviewSearch } from './overview/window'
import { readSearch } from './queues/search'
import { apply, readPreferences } from './settings/preferences'
import { readSchedulesSearch } from './schedules/search'
import { readSettingsSearch } from './settings/search'
import { only } from './shell/only'
import { Shell } from './shell/Shell'

// The first page comes with the first load, those of an incident right after it, the others when somebody points at them.
const DeadLetters = later(() => import('./pages/DeadLetters'), 'DeadLetters')
const Queue = later(() => import('./pages/Queue'), 'Queue')
const Job = later(() => import('./pages/Job'), 'Job')
const root = createRootRoute({ component: Shell })
const routes = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: Overview, validateSearch: readOverviewSearch }),
  createRoute({ getParentRoute: () => root, path: '/dead', component: DeadLetters, validateSearch: readDeadSearch }),
  createRoute({ getParentRoute: () => root, path: '/alerts', component: later(() => import('./pages/Alerts'), 'Alerts'), validateSearch: only('tab') }),
  createRoute({ getParentRoute: () => root, path: '/events', component: later(() => import('./pages/Events'), 'Events'), validateSearch: readEventsSearch }),
  createRoute({ getParentRoute: () => root, path: '/audit', component: later(() => import('./pages/Audit'), 'Audit'), validateSearch: readAuditSearch }),
  createRoute({ getParentRoute: () => root, path: '/queues/$queue', component: Queue, validateSearch: readSearch }),
  createRoute({ getParentRoute: () => root, path: '/queues/$queue/jobs/$id', component: Job }),
  createRoute({ getParentRoute: () => root, path: '/workers', component: later(() => import('./pages/Workers'), 'Workers'), validateSearch: only('worker') }),
  createRoute({ getParentRoute: () => root, path: '/schedules', component: later(() => import('./pages/Schedules'), 'Schedules'), validateSearch: readSchedulesSearch }),
  createRoute({ getParentRoute: () => root, path: '/flows', component: later(() => import('./pages/Flows'), 'Flows'), validateSearch: readFlowSearch }),
  createRoute({ getParentRoute: () => root, path: '/outbox', component: later(() => import('./pages/Outbox'), 'Outbox'), validateSearch: readOutboxSearch }),
  createRoute({ getParentRoute: () => root, path: '/redis', component: later(() => import('./pages/Redis'), 'Redis') }),
  createRoute({ getParentRoute: () => root, path: '/checklist', component: later(() => import('./pages/Checklist'), 'Checklist') }),
  createRoute({ getParentRoute: () => root, path: '/settings', component: later(() => import('./pages/Settings'), 'Settings'), validateSearch: readSettingsSearch }),
])
const router = createRouter({ routeTree: routes, defaultPreload: 'intent', defaultNotFoundComponent: NoPage, defaultErrorComponent: BrokenPage })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

const queries = new QueryClient({ defaultOptions: { queries: { retry: (failures, error) => failures < 1 && !isRefusal(error), staleTime: 2_000 } } })

apply(readPreferences())

/** So long nothing may be asked before the browser is given what nobody waits for. */
const LEISURE_MS = 300

function bringTheOthers() {
  if (queries.isFetching() > 0) return void setTimeout(bringTheOthers, LEISURE_MS)
  for (const page of [DeadLetters, Queue, Job]) page.preload?.()?.catch(() => undefined) // asked again when it is opened
}
setTimeout(bringTheOthers, LEISURE_MS)

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
