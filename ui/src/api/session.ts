// Who is signed in, and what the page may offer them.
import { useQuery } from '@tanstack/react-query'
import { readSession, type Session } from './client'

export type Permission = 'operate' | 'read_payloads' | 'watch' | 'manage_keys'

/** The page comes with it, so that nothing has to be asked before it is drawn. */
function told(): Session | undefined {
  const { session } = document.documentElement.dataset
  return session ? (JSON.parse(session) as Session) : undefined
}

export function useSession() {
  return useQuery({ queryKey: ['session'], queryFn: readSession, initialData: told, staleTime: Infinity })
}

/** Whether the one who is signed in has a permission; false until that is known. */
export function useMay(permission: Permission): boolean {
  return useSession().data?.permissions.includes(permission) ?? false
}
