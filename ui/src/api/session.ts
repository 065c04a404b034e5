import { useQuery } from '@tanstack/react-query'
import { readSession } from './client'

export function useSession() {
  return useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity })
}

/** Whether who is signed in may do this: `operate`, `read_payloads`, … */
export function useMay(permission: string): boolean {
  return useSession().data?.permissions.includes(permission) ?? false
}
