// What is typed into the filter of a list of jobs, as what the server is asked for.
//
//   name:verify  id:184  error:"timed out"  after:14:02  before:2h  attempts:>2  priority:1  group:acme
//   data.user.id:7
import { texts } from '../texts'

export interface Filter {
  name?: string
  id?: string
  error?: string
  after?: number
  before?: number
  where?: string
  attemptsMin?: number
  attemptsMax?: number
  priorityMin?: number
  priorityMax?: number
  group?: string
}

export interface Parsed {
  filter: Filter
  /** What could not be understood, in words. */
  wrong: string[]
}

/** Qualifiers, and the ones that only those may use who see payloads. */
export const QUALIFIERS = ['name', 'id', 'error', 'after', 'before', 'attempts', 'priority', 'group', 'data.'] as const
export const OF_PAYLOADS: readonly string[] = ['error', 'data.']

const WORD = /([\w.-]+):(?:"([^"]*)"|(\S+))|(\S+)/g

/** now: epoch seconds; times of the day are those of today, or of yesterday if they are still to come. */
export function parse(text: string, now = Date.now() / 1000): Parsed {
  const filter: Filter = {}
  const where: Record<string, unknown> = {}
  const wrong: string[] = []
  for (const [, key, quoted, plain, bare] of text.matchAll(WORD)) {
    const value = quoted ?? plain ?? ''
    if (bare !== undefined) {
      if (!bare.endsWith(':')) filter.id = bare
    } else if (key === 'name' || key === 'id' || key === 'error' || key === 'group') {
      filter[key] = value
    } else if (key === 'after' || key === 'before') {
      const at = moment(value, now)
      if (at === null) wrong.push(texts.joblist.noTime(key, value))
      else filter[key] = at
    } else if (key === 'attempts' || key === 'priority') {
      const range = bounds(value)
      if (range === null) wrong.push(texts.joblist.noNumber(key, value))
      else {
        if (range[0] !== null) filter[`${key}Min`] = range[0]
        if (range[1] !== null) filter[`${key}Max`] = range[1]
      }
    } else if (key!.startsWith('data.') && key!.length > 5) {
      where[key!.slice(5)] = quoted ?? literal(value)
    } else {
      wrong.push(texts.joblist.noQualifier(key!))
    }
  }
  if (Object.keys(where).length) filter.where = JSON.stringify(where)
  return { filter, wrong }
}

/** The same as the body of an operation asks for it. */
export function bodyOf({ after, before, where, ...same }: Filter): Record<string, unknown> {
  return {
    ...same,
    ...(after === undefined ? {} : { addedAfter: after }),
    ...(before === undefined ? {} : { addedBefore: before }),
    ...(where === undefined ? {} : { where: JSON.parse(where) as unknown }),
  }
}

function literal(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? text : value
  } catch {
    return text
  }
}

/** 3, >2, >=2, <5, <=5, 2..4 as both ends, each of them in it; null: none of these. */
function bounds(text: string): [number | null, number | null] | null {
  const range = /^(\d+)\.\.(\d+)$/.exec(text)
  if (range) return [Number(range[1]), Number(range[2])]
  const one = /^(>=|<=|>|<|=)?(\d{1,9})$/.exec(text)
  if (!one) return null
  const value = Number(one[2])
  switch (one[1]) {
    case '>':
      return [value + 1, null]
    case '>=':
      return [value, null]
    case '<':
      return [null, value - 1]
    case '<=':
      return [null, value]
    default:
      return [value, value]
  }
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

function moment(text: string, now: number): number | null {
  const ago = /^(\d+)([smhd])$/.exec(text)
  if (ago) return now - Number(ago[1]) * UNITS[ago[2]!]!
  const time = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text)
  if (time) {
    if (Number(time[1]) > 23 || Number(time[2]) > 59) return null
    const at = new Date(now * 1000)
    at.setHours(Number(time[1]), Number(time[2]), Number(time[3] ?? 0), 0)
    const seconds = at.getTime() / 1000
    return seconds > now ? seconds - 86_400 : seconds
  }
  const at = Date.parse(text)
  return Number.isNaN(at) || !text.includes('-') ? null : at / 1000
}

export interface Suggestion {
  /** What is shown, and what the text is when it is taken. */
  shown: string
  hint: string
  text: string
}

/** What may be known of the jobs: their names, the fields of their data, their groups. */
export interface Known {
  names: string[]
  fields: string[]
  groups: string[]
  payloads: boolean
}

const MOST_SUGGESTED = 8

/** How the word under the caret may go on. */
export function suggest(text: string, known: Known): Suggestion[] {
  const start = text.search(/\S*$/)
  const [before, word] = [text.slice(0, start), text.slice(start)]
  const take = (rest: string) => before + rest
  const colon = word.indexOf(':')
  if (colon > 0) {
    const [key, value] = [word.slice(0, colon), word.slice(colon + 1)]
    const choices = key === 'name' ? known.names : key === 'group' ? known.groups : key === 'after' || key === 'before' ? ['15m', '1h', '24h', '7d'] : []
    return choices
      .filter((one) => one.startsWith(value) && one !== value)
      .slice(0, MOST_SUGGESTED)
      .map((one) => ({ shown: `${key}:${one}`, hint: '', text: `${take(`${key}:${/\s/.test(one) ? `"${one}"` : one}`)} ` }))
  }
  const fields = known.payloads ? known.fields.map((field) => `data.${field}`) : []
  if (word.startsWith('data.')) {
    return fields.filter((field) => field.startsWith(word)).slice(0, MOST_SUGGESTED).map((field) => ({ shown: `${field}:`, hint: '', text: take(`${field}:`) }))
  }
  return QUALIFIERS.filter((one) => one.startsWith(word) && (known.payloads || !OF_PAYLOADS.includes(one))).map((one) => ({
    shown: one === 'data.' ? one : `${one}:`,
    hint: texts.joblist.hints[one],
    text: take(one === 'data.' ? one : `${one}:`),
  }))
}
