import { useQuery } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { readSession } from '../api/client'
import { Toasts } from '../parts/Toasts'
import { useLive } from '../parts/useLive'
import { Sidebar } from './Sidebar'

/** What is around every page. */
export function Shell() {
  useLive()
  const session = useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity })
  if (!session.data) return null
  return (
    <div className="shell">
      <Sidebar session={session.data} />
      <main className="main">
        <Outlet />
      </main>
      <Toasts />
    </div>
  )
}
