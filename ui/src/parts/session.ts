// Who is signed in, and what the page may offer them.
import { useQuery } from '@tanstack/react-query'
import { readSession } from '../api/client'

export type Permission = 'operate' | 'read_payloads' | 'watch'

/** Whether the one who is signed in has a permission; false until that is known. */
export function useMay(permission: Permission): boolean {
  const session = useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity })
  return session.data?.permissions.includes(permission) ?? false
}
