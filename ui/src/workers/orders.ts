import { useMutation } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { failed, say } from '../parts/toasting'

export interface Order {
  wish: 'quiet' | 'stop'
  /** A worker's name, or a host's. */
  name: string
}

/** Tells running workers to take no new jobs, or to stop; each obeys within a second. */
export function useOrder() {
  return useMutation({
    mutationFn: ({ wish, name }: Order) => {
      const params = { params: { path: { name } } }
      return wish === 'quiet'
        ? answered(api.POST('/api/v1/workers/{name}/quiet', params))
        : answered(api.POST('/api/v1/workers/{name}/stop', params))
    },
    onSuccess: ({ workers }, { wish, name }) => {
      const who = workers.length === 1 ? workers[0] : `${workers.length} processes of ${name}`
      say(wish === 'quiet' ? `${who} told to take no new jobs` : `${who} told to stop`)
    },
    onError: (error, { wish, name }) => failed(`${name} not told to ${wish === 'quiet' ? 'go quiet' : 'stop'}.`, error),
  })
}
