// What operators do at the desk. Each says what it did, and takes it back where the desk can.
import type { QueryClient } from '@tanstack/react-query'
import { useQueryClient } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { count } from '../format'
import { called } from '../overview/providers'
import { failed, toast } from '../parts/toasting'
import { texts } from '../texts'
import { DESK } from './desk'
import { type Desk, errorName, type Group, isOver, keyOf, type Operation, type State } from './groups'

const says = texts.dead.actions

const STOPPED_WITHIN_MS = 10_000

export interface Ignore {
  until?: number
  failures?: number
}

/** How a retry goes: jobs a second (null: as fast as it goes), and the breaker that it waits for. */
export interface Pace {
  rate: number | null
  breaker: string
}

export function useDeskActions() {
  const client = useQueryClient()
  return makeActions(client)
}

function makeActions(client: QueryClient) {
  const look = () => client.invalidateQueries({ queryKey: DESK })

  async function retry(groups: Group[], pace: Pace) {
    await attempt(says.notBegun, async () => {
      await each(groups, ({ queue, id }) =>
        api.POST('/api/v1/queues/{queue}/dead/retry', { params: { path: { queue } }, body: { group: id, ...pace } }),
      )
      const when = pace.breaker ? says.whenCloses(called(pace.breaker)) : says.canStop
      toast({ says: says.retrying(named(groups)), detail: when })
    })
  }

  async function discard(groups: Group[]) {
    await attempt(says.notDiscarded, async () => {
      const begun = await each(groups, ({ queue, id }) =>
        api.POST('/api/v1/queues/{queue}/dead/discard', { params: { path: { queue } }, body: { group: id, breaker: '' } }),
      )
      toast({ says: says.discarded(named(groups)), detail: says.inBin, undo: () => bringBack(begun) })
    })
  }

  async function discardJob(queue: string, id: string) {
    await attempt(says.jobNotDiscarded, async () => {
      const operation = await answered(
        api.POST('/api/v1/queues/{queue}/dead/jobs/{job_id}/discard', { params: { path: { queue, job_id: id } } }),
      )
      toast({ says: says.jobDiscarded(id), detail: says.inBin, undo: () => bringBack([operation]) })
    })
  }

  async function retryJob(queue: string, id: string) {
    await attempt(says.jobNotRetried, async () => {
      await answered(api.POST('/api/v1/queues/{queue}/dead/jobs/{job_id}/retry', { params: { path: { queue, job_id: id } } }))
      toast({ says: says.jobRetried(id) })
    })
  }

  /** Raises what the server says of the data, for the form to show. */
  async function edit(queue: string, id: string, data: unknown, run: boolean) {
    await answered(
      api.PUT('/api/v1/queues/{queue}/dead/jobs/{job_id}/data', { params: { path: { queue, job_id: id } }, body: { data, retry: run } }),
    )
    toast({ says: says.edited(id, run), detail: says.oldKept })
    await Promise.all([look(), client.invalidateQueries({ queryKey: ['dead-letter', queue, id] })])
  }

  async function mark(groups: Group[], state: State, ignore: Ignore = {}) {
    const before = new Map(groups.map((group) => [keyOf(group), group]))
    await attempt(says.notChanged, async () => {
      await client.cancelQueries({ queryKey: DESK })
      client.setQueryData<Desk>(DESK, (desk) =>
        desk && { ...desk, groups: desk.groups.map((one) => (before.has(keyOf(one)) ? { ...one, state } : one)) },
      )
      await each(groups, (group) => told(group, state, ignore))
      toast({
        says: says.marked(says.did[state], allOf(groups)),
        detail: state === 'resolved' ? says.opensAgain : '',
        undo: async () => {
          await each(groups, (group) =>
            told(group, group.state as State, { until: group.ignoredUntil ?? undefined, failures: group.ignoredFailures ?? undefined }),
          )
          await look()
          return says.asItWas
        },
      })
    })
  }

  async function note(group: Group, text: string) {
    await attempt(says.noteNotKept, () =>
      answered(
        api.POST('/api/v1/queues/{queue}/dead/groups/{group}/notes', {
          params: { path: { queue: group.queue, group: group.id } },
          body: { text },
        }),
      ),
    )
  }

  async function stop(operation: Operation) {
    await attempt(says.notStopped, async () => {
      const stopped = await halt(operation)
      toast({ says: says.stopped(count(stopped.left)), detail: says.staysDone })
    })
  }

  async function undo(operation: Operation) {
    await attempt(says.notBroughtBack, async () => toast({ says: await bringBack([operation]) }))
  }

  async function bringBack(operations: Operation[]): Promise<string> {
    for (const operation of operations) {
      await ended(operation)
      await answered(
        api.POST('/api/v1/queues/{queue}/dead/operations/{operation}/undo', {
          params: { path: { queue: operation.queue, operation: operation.id } },
        }),
      )
    }
    await look()
    return says.comeBack
  }

  async function attempt(unless: string, act: () => Promise<unknown>) {
    try {
      await act()
    } catch (error) {
      failed(unless, error)
    }
    await look()
  }

  return { retry, discard, discardJob, retryJob, edit, mark, note, stop, undo }
}

async function each<Data>(groups: Group[], call: (group: Group) => Promise<{ data?: Data; error?: unknown; response: Response }>) {
  const all: Data[] = []
  for (const group of groups) all.push(await answered(call(group)))
  return all
}

function told(group: Group, state: State, ignore: Ignore) {
  const params = { path: { queue: group.queue, group: group.id } }
  if (state === 'resolved') return api.POST('/api/v1/queues/{queue}/dead/groups/{group}/resolve', { params })
  if (state === 'open') return api.POST('/api/v1/queues/{queue}/dead/groups/{group}/reopen', { params })
  return api.POST('/api/v1/queues/{queue}/dead/groups/{group}/ignore', { params, body: ignore })
}

function at(operation: Operation) {
  return { params: { path: { queue: operation.queue, operation: operation.id } } }
}

function halt(operation: Operation): Promise<Operation> {
  return answered(api.POST('/api/v1/queues/{queue}/dead/operations/{operation}/stop', at(operation)))
}

/** A discard is stopped before it is taken back. */
async function ended(operation: Operation): Promise<void> {
  const read = () => answered(api.GET('/api/v1/queues/{queue}/dead/operations/{operation}', at(operation)))
  let now = await read()
  if (!isOver(now)) now = await halt(operation).catch(read)
  for (const until = Date.now() + STOPPED_WITHIN_MS; !isOver(now) && Date.now() < until; now = await read()) {
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

function named(groups: Group[]): string {
  const jobs = groups.reduce((all, group) => all + group.count, 0)
  return says.named(count(jobs), jobs === 1, allOf(groups))
}

function allOf(groups: Group[]): string {
  return groups.length === 1 ? errorName(groups[0]!.error) : texts.dead.groups(groups.length)
}
