// Who is signed in, and what the page may offer them.
import { useQuery } from '@tanstack/react-query'
import { readSession } from './client'

export type Permission = 'operate' | 'read_payloads' | 'watch' | 'manage_keys'

export function useSession() {
  return useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity })
}

/** Whether the one who is signed in has a permission; false until that is known. */
export function useMay(permission: Permission): boolean {
  return useSession().data?.permissions.includes(permission) ?? false
}
