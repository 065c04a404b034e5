// What the pages ask the server about flows.
import { answered, api } from '../api/client'

const job = (queue: string, job_id: string) => ({ params: { path: { queue, job_id } } })

export const readFlows = (queue: string, cursor: string | null) =>
  answered(api.GET('/api/v1/flows', { params: { query: { ...(queue ? { queue } : {}), ...(cursor ? { cursor } : {}) } } }))

export const readFlow = (queue: string, id: string) => answered(api.GET('/api/v1/queues/{queue}/jobs/{job_id}/flow', job(queue, id)))

export const readChildren = (queue: string, job_id: string, cursor: string | null) =>
  answered(api.GET('/api/v1/queues/{queue}/jobs/{job_id}/children', { params: { path: { queue, job_id }, query: cursor ? { cursor } : {} } }))

export const retryChildren = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/children/retry', job(queue, id)))
export const removeUnprocessed = (queue: string, id: string) =>
  answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/children/remove-unprocessed', job(queue, id)))
export const releaseParent = (queue: string, id: string) => answered(api.POST('/api/v1/queues/{queue}/jobs/{job_id}/release', job(queue, id)))
