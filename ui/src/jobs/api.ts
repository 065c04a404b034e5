// What the pages ask the server about jobs and queues.
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { texts } from '../texts'
import { bodyOf, type Filter } from './filter'

export type JobRow = components['schemas']['JobRow']
export type JobView = components['schemas']['JobView']
export type JobRun = components['schemas']['JobRun']
export type Moments = components['schemas']['Moments']
export type Revealed = components['schemas']['Revealed']
export type JobPage = components['schemas']['JobPage']
export type QueueSettings = components['schemas']['QueueSettings']
export type Many = components['schemas']['Many']

export interface Listed {
  queue: string
  state: string
  oldest: boolean
  filter: Filter
}

/** Rows of a log in one answer. */
export const LOG_CHUNK = 1_000

const job = (queue: string, job_id: string) => ({ params: { path: { queue, job_id } } })
const of = (queue: string) => ({ params: { path: { queue } } })

export function readJobs({ queue, state, oldest, filter }: Listed, cursor: string | null, limit = 100): Promise<JobPage> {
  const query = { state, oldest, limit, ...filter, ...(cursor ? { cursor } : {}) }
  return answered(api.GET('/api/v1/queues/{queue}/jobs', { params: { path: { queue }, query } }))
}

/** The dry run of an operation on all that match. */
export const countJobs = ({ queue, state, filter }: Listed, cursor: string | null) =>
  answered(
    api.POST('/api/v1/queues/{queue}/jobs/operations/preview', {
      ...of(queue),
      body: { state: state as State, filter: bodyOf(filter) as Body['filter'], cursor },
    }),
  )
type Body = components['schemas']['AskedOperation']
type State = Body['state']

export const beginOperation = ({ queue, state, filter }: Listed, kind: Body['kind'], values: { priority: number; delay: number; rate: number | null }) =>
  answered(
    api.POST('/api/v1/queues/{queue}/jobs/operations', {
      ...of(queue),
      body: { kind, state: state as State, filter: bodyOf(filter) as Body['filter'], reason: '', ...values },
    }),
  )
type Operation = components['schemas']['JobsOperationView']
const one = ({ queue, id }: Operation) => ({ params: { path: { queue, operation: id } } })

export const readOperations = (queue: string) => answered(api.GET('/api/v1/queues/{queue}/jobs/operations', of(queue)))
export const stopOperation = (operation: Operation) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/operations/{operation}/stop', one(operation)))
/** Where a file of all that match comes from. */
export const exportAddress = ({ queue, state, filter }: Listed): string =>
  `/api/v1/queues/${encodeURIComponent(queue)}/jobs/export?${new URLSearchParams({ state, filter: JSON.stringify(bodyOf(filter)) }).toString()}`

export const readGroups = (queue: string) => answered(api.GET('/api/v1/queues/{queue}/groups', of(queue)))
export const pauseGroup = (queue: string, group: string) => answered(api.POST('/api/v1/queues/{queue}/groups/pause', { ...of(queue), body: { group } }))
export const resumeGroup = (queue: string, group: string) => answered(api.POST('/api/v1/queues/{queue}/groups/resume', { ...of(queue), body: { group } }))
export const releaseRate = (queue: string) => answered(api.POST('/api/v1/queues/{queue}/limits/release', of(queue)))
export const readWorkers = () => answered(api.GET('/api/v1/workers'))

export const readJob = (queue: string, id: string) => answered(api.GET('/api/v1/queues/{queue}/jobs/{job_id}', job(queue, id)))

export const readLogs = (queue: string, id: string, start: number) =>
  answered(
    api.GET('/api/v1/queues/{queue}/jobs/{job_id}/logs', {
      params: { path: { queue, job_id: id }, query: { start, count: LOG_CHUNK } },
    }),
  )

export const retryJob = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/retry', job(queue, id)))
export const promoteJob = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/promote', job(queue, id)))
export const removeJob = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/remove', job(queue, id)))
export const duplicateJob = (queue: string, id: string, data?: unknown) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/duplicate', { ...job(queue, id), body: data === undefined ? null : { data } }))
export const revealJob = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/reveal', job(queue, id)))
export const readMoments = (queue: string, id: string, after: number) =>
  answered(api.GET('/api/v1/queues/{queue}/jobs/{job_id}/moments', { params: { path: { queue, job_id: id }, query: { after } } }))
/** Into the bin, for ten minutes. */
export const discardDead = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/dead/jobs/{job_id}/discard', job(queue, id)))
/** Bring back what an operation of the dead letter desk removed. */
export const undoDead = (queue: string, operation: string) =>
  answered(api.POST('/api/v1/queues/{queue}/dead/operations/{operation}/undo', { params: { path: { queue, operation } } }))
/** What it had at first is kept for 7 days. */
export const editDead = (queue: string, id: string, data: unknown) =>
  answered(api.PUT('/api/v1/queues/{queue}/dead/jobs/{job_id}/data', { ...job(queue, id), body: { data, retry: true } }))
export const cancelJob = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/cancel', { ...job(queue, id), body: { reason: '' } }))
export const changeJob = (queue: string, id: string, body: components['schemas']['JobChange']) =>
  answered(api.PATCH('/api/v1/queues/{queue}/jobs/{job_id}', { ...job(queue, id), body }))
export const changeMany = (queue: string, body: Many) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/bulk', { ...of(queue), body }))
export const addJob = (queue: string, body: components['schemas']['NewJob']) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs', { ...of(queue), body }))

export const readQueue = (queue: string) => answered(api.GET('/api/v1/queues/{queue}', of(queue)))
export const readSettings = (queue: string) => answered(api.GET('/api/v1/queues/{queue}/settings', of(queue)))
export const readSchema = (queue: string) => answered(api.GET('/api/v1/queues/{queue}/schema', of(queue)))
export const pauseQueue = (queue: string) => answered(api.POST('/api/v1/queues/{queue}/pause', of(queue)))
export const resumeQueue = (queue: string) => answered(api.POST('/api/v1/queues/{queue}/resume', of(queue)))
export const drainQueue = (queue: string, delayed: boolean) =>
  answered(api.POST('/api/v1/queues/{queue}/drain', { ...of(queue), body: { delayed } }))
export const cleanQueue = (queue: string, state: components['schemas']['Clean']['state'], olderThan: number) =>
  answered(api.POST('/api/v1/queues/{queue}/clean', { ...of(queue), body: { state, olderThan, limit: 50_000 } }))
export const obliterateQueue = (queue: string, force: boolean) =>
  answered(api.POST('/api/v1/queues/{queue}/obliterate', { ...of(queue), body: { confirm: queue, force } }))
export const changeLimits = (queue: string, body: components['schemas']['LimitsChange']) =>
  answered(api.PUT('/api/v1/queues/{queue}/limits', { ...of(queue), body }))
export const readStats = (queue: string, query: { minutes?: number; hours?: number }) =>
  answered(api.GET('/api/v1/queues/{queue}/stats', { params: { path: { queue }, query } }))

/** Try the provider's key, and let its held jobs run if it is taken. Raises what it says otherwise. */
export async function testAndResume(name: string): Promise<void> {
  const path = { params: { path: { name } } }
  const tried = await api.POST('/api/v1/breakers/{name}/test', path)
  // 422: there is no key of this name to test, so the operator's word counts.
  if (tried.response.status !== 422) {
    const trial = await answered(Promise.resolve(tried))
    if (!trial.ok) throw new Error(texts.queue.stillOut(trial.reason ?? trial.kind))
  }
  await answered(api.POST('/api/v1/breakers/{name}/resume', { ...path, body: { rate: null } }))
}
