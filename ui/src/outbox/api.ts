// What the page asks the server about the outbox.
import { answered, api } from '../api/client'
import type { components } from '../api/schema'

export type OutboxRow = components['schemas']['OutboxRow']
export type OutboxEntry = components['schemas']['OutboxEntry']

export const readOutbox = (kind: string, to: string, before: number | null) =>
  answered(api.GET('/api/v1/outbox', { params: { query: { ...(kind ? { kind } : {}), ...(to ? { to } : {}), ...(before === null ? {} : { before }) } } }))

export const readEntry = (number: number) => answered(api.GET('/api/v1/outbox/{number}', { params: { path: { number } } }))

/** Shown in a frame, so asked for by the browser itself. */
export const mailOf = (number: number) => `/api/v1/outbox/${number}/html`
export const pictureOf = (number: number) => `/api/v1/outbox/${number}/picture`
