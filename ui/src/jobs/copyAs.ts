// The same job once more, as a text to paste: into a shell, into Python.
import { Digits } from '../api/exact'
import type { JobView } from './api'
import { isHidden } from './tree'

export type Copied = 'curl' | 'command line' | 'Python'

/** What stands in a text for what is hidden from the one who copies it. */
const REDACTED = '[redacted]'

/** The text that adds a job like this one. */
export function copyAs(kind: Copied, of: Pick<JobView, 'queue' | 'name' | 'data' | 'priority'>): string {
  const job = { ...of, data: withoutMasks(of.data) }
  const data = JSON.stringify(job.data)
  switch (kind) {
    case 'curl': {
      const body = JSON.stringify({ name: job.name, data: job.data, ...(job.priority ? { priority: job.priority } : {}) })
      return [
        `curl -X POST "$CORRAL_URL/v1/queues/${encodeURIComponent(job.queue)}/jobs"`,
        '-H "Authorization: Bearer $CORRAL_API_KEY" -H "Content-Type: application/json"',
        `--data-raw ${shell(body)}`,
      ].join(' \\\n  ')
    }
    case 'command line': {
      const priority = job.priority ? ` --priority ${job.priority}` : ''
      return `corral jobs add ${shell(job.queue)} ${shell(job.name)} ${shell(data)}${priority}`
    }
    case 'Python': {
      const priority = job.priority ? `, priority=${job.priority}` : ''
      return `await Queue(${python(job.queue)}).add(${python(job.name)}, ${python(job.data)}${priority})`
    }
  }
}

function withoutMasks(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Digits) return value
  if (isHidden(value)) return REDACTED
  if (Array.isArray(value)) return value.map(withoutMasks)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutMasks(item)]))
}

function shell(text: string): string {
  return /^[\w.\/-]+$/.test(text) && !text.startsWith('-') ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** JSON as a Python literal. */
export function python(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object' && !(value instanceof Digits)) {
    return `{${Object.entries(value).map(([key, item]) => `${python(key)}: ${python(item)}`).join(', ')}}`
  }
  return JSON.stringify(value)
}
