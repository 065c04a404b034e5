// What is typed into the filter of a list of jobs, as what the server is asked for.
//
//   name:verify  id:184  error:"timed out"  after:14:02  before:2h  data.user.id:7

export interface Filter {
  name?: string
  id?: string
  error?: string
  after?: number
  before?: number
  where?: string
}

export interface Parsed {
  filter: Filter
  /** What could not be understood, in words. */
  wrong: string[]
}

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
    } else if (key === 'name' || key === 'id' || key === 'error') {
      filter[key] = value
    } else if (key === 'after' || key === 'before') {
      const at = moment(value, now)
      if (at === null) wrong.push(`${key}:${value} is no time. Write 14:02, 2h or 2026-11-28T14:02.`)
      else filter[key] = at
    } else if (key!.startsWith('data.')) {
      where[key!.slice(5)] = quoted ?? literal(value)
    } else {
      wrong.push(`${key}: is nothing to filter by. There are name, id, error, after, before and data.…`)
    }
  }
  if (Object.keys(where).length) filter.where = JSON.stringify(where)
  return { filter, wrong }
}

function literal(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? text : value
  } catch {
    return text
  }
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

function moment(text: string, now: number): number | null {
  const ago = /^(\d+)([smhd])$/.exec(text)
  if (ago) return now - Number(ago[1]) * UNITS[ago[2]!]!
  const time = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text)
  if (time) {
    const at = new Date(now * 1000)
    at.setHours(Number(time[1]), Number(time[2]), Number(time[3] ?? 0), 0)
    const seconds = at.getTime() / 1000
    return seconds > now ? seconds - 86_400 : seconds
  }
  const at = Date.parse(text)
  return Number.isNaN(at) || !text.includes('-') ? null : at / 1000
}
