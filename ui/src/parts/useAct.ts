import { useMutation, useQueryClient } from '@tanstack/react-query'
import { failed, say } from './toasting'

interface Act {
  run: () => Promise<unknown>
  /** What is said of it; what `run` came to may be in it. */
  done: string | ((outcome: unknown) => string)
  undo?: () => Promise<unknown>
  then?: () => void
}

/** Does something on the server, says so (or what went wrong), and reads the page anew. */
export function useAct() {
  const queries = useQueryClient()
  const fresh = () => queries.invalidateQueries()
  const act = useMutation({
    mutationFn: ({ run }: Act) => run(),
    onSuccess: (outcome, { done, undo, then }) => {
      say(typeof done === 'string' ? done : done(outcome), undo && (() => undo().finally(fresh)))
      then?.()
    },
    onError: (error) => failed('', error),
    onSettled: fresh,
  })
  return { act: act.mutate, busy: act.isPending }
}
