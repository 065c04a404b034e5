// The management API, typed by its own description (openapi.json); errors become what the server says of them.
import createClient from 'openapi-fetch'
import { exactFetch } from './exact'
import { texts } from '../texts'
import type { paths } from './schema'

export const api = createClient<paths>({ fetch: exactFetch, headers: { 'x-corral-dashboard': '1' } })

/** A problem as the server tells it (RFC 9457). */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail)
  }
}

/** What was asked for is not there, or not for this user: to ask again at once helps nobody. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ProblemError && error.status >= 400 && error.status < 500
}

/** Whether the dashboard could not reach Redis. */
export function isAway(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 503
}

interface Answer<Data> {
  data?: Data
  error?: unknown
  response: Response
}

/** The data of an answer. Who is no longer signed in gets the sign-in page. */
export async function answered<Data>(call: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await call
  if (response.ok) return data as Data
  if (response.status === 401) location.reload()
  const detail = (error as { detail?: string } | undefined)?.detail
  throw new ProblemError(response.status, detail ?? texts.parts.answered(response.status))
}

export interface Session {
  user: string
  role: string
  permissions: string[]
  environment: string
  /** There is an outbox to show. */
  sandbox: boolean
}

export async function readSession(): Promise<Session> {
  return answered(fetch('/session').then(async (response) => ({ data: await response.json(), response })))
}

export async function signOut(): Promise<void> {
  await fetch('/session', { method: 'DELETE', headers: { 'x-corral-dashboard': '1' } })
  location.assign('/')
}
