import { useMutation } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { failed, say } from '../parts/toasting'
import { texts } from '../texts'

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
      const who = workers.length === 1 ? workers[0]! : texts.workers.processesOf(workers.length, name)
      say(texts.workers.told(who, wish === 'quiet'))
    },
    onError: (error, { wish, name }) => failed(texts.workers.notTold(name, wish === 'quiet'), error),
  })
}
