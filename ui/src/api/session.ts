import { useQuery } from '@tanstack/react-query'
import { readSession } from './client'

/** Whether who is signed in may do this: `operate`, `read_payloads`. */
export function useMay(permission: string): boolean {
  const session = useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity })
  return session.data?.permissions.includes(permission) ?? false
}
