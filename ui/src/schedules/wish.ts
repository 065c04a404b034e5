// What the form of a schedule holds, and what it asks the server for. Pure.
import { parseJson } from '../api/exact'
import type { components } from '../api/schema'
import { texts } from '../texts'

export type Schedule = components['schemas']['ScheduleRow']
export type Wish = components['schemas']['ScheduleWish']

export interface Draft {
  queue: string
  id: string
  name: string
  kind: 'cron' | 'every'
  cron: string
  tz: string
  /** As typed: `90`, `15m`, `2h`. */
  every: string
  /** When it ends, as the browser's field for it has it (its own zone, to the minute); empty: never. */
  end: string
  /** After how many runs it ends, as typed; empty: never. */
  limit: string
  /** JSON as typed; empty: left as it was. */
  data: string
}

export const EMPTY: Draft = { queue: '', id: '', name: '', kind: 'cron', cron: '0 3 * * 1-5', tz: 'UTC', every: '15m', end: '', limit: '', data: '' }

const UNITS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Seconds of `90`, `1.5 s`, `15m`, `2 h`, `1d`, `1w`; null for anything else. */
export function seconds(text: string): number | null {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*$/.exec(text)
  const unit = parts && UNITS[parts[2] ?? '']
  return parts && unit ? Number(parts[1]) * unit : null
}

/** The shortest way to write so many seconds in the form. */
export function typed(value: number): string {
  for (const [name, size] of Object.entries(UNITS).reverse()) {
    if (name !== '' && value >= size && value % size === 0) return `${value / size}${name}`
  }
  return `${value}s`
}

export type Read = { wish: Wish; problem: null } | { wish: null; problem: string }

/** What to ask for, or what is wrong with what was typed. What must stay of a schedule that is edited stays. */
export function read(draft: Draft, was: Schedule | null = null): Read {
  const wish: Wish = { name: draft.name.trim() }
  if (draft.kind === 'cron') {
    if (!/^\s*(@\w+|\S+(\s+\S+){4,5})\s*$/.test(draft.cron)) return { wish: null, problem: texts.schedules.wrongCron }
    wish.cron = draft.cron.trim()
    wish.tz = draft.tz
  } else {
    const every = seconds(draft.every)
    if (every === null) return { wish: null, problem: texts.schedules.wrongEvery }
    wish.every = every
    if (was?.offset != null && was.every === every) wish.offset = was.offset
  }
  if (was?.start != null) wish.start = was.start
  if (draft.end !== '') {
    // What was not touched keeps its seconds.
    wish.end = was?.end != null && draft.end === fieldOf(was.end) ? was.end : Date.parse(draft.end) / 1000
  }
  if (draft.limit.trim() !== '') {
    if (!/^\s*[1-9]\d{0,8}\s*$/.test(draft.limit)) return { wish: null, problem: texts.schedules.wrongLimit }
    wish.limit = Number(draft.limit)
  }
  if (draft.data.trim() !== '') {
    try {
      wish.data = parseJson(draft.data)
    } catch {
      return { wish: null, problem: texts.schedules.wrongData }
    }
  }
  return { wish, problem: null }
}

export function draftOf(schedule: Schedule, data: unknown): Draft {
  return {
    queue: schedule.queue,
    id: schedule.id,
    name: schedule.name,
    kind: schedule.cron === null ? 'every' : 'cron',
    cron: schedule.cron ?? EMPTY.cron,
    tz: schedule.tz,
    every: schedule.every === null ? EMPTY.every : typed(schedule.every),
    end: schedule.end === null ? '' : fieldOf(schedule.end),
    limit: schedule.limit === null ? '' : String(schedule.limit),
    data: data === undefined ? '' : JSON.stringify(data, null, 2),
  }
}

/** Epoch seconds as a browser's field for date and time has them: `2026-11-29T08:30`, in its own zone. */
export function fieldOf(epochSeconds: number): string {
  const at = new Date(epochSeconds * 1000)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`
}

/** Whether each word is somewhere in what its row says, also how it stands: `late`, `paused`, `failed`. */
export function fits(schedule: Schedule, text: string): boolean {
  const { id, queue, name, words, cron, tz, paused, lateSeconds, last } = schedule
  const { isPaused, isLate } = texts.schedules
  const said = [id, queue, name, words, cron ?? '', cron === null ? '' : tz, paused ? isPaused : '', lateSeconds === null ? '' : isLate, last?.outcome ?? '']
  const whole = said.join(' ').toLowerCase()
  return text.toLowerCase().split(/\s+/).every((word) => whole.includes(word))
}

/** `2026-03-02T03:00:00+01:00` as the clock on that zone's wall: `Mon 2 Mar 03:00`, with seconds if there are any, with the year if it is not this one. */
export function onTheWall(iso: string, now = Date.now()): string {
  const [, year, month, day, time, s] = /^(\d+)-(\d+)-(\d+)T(\d+:\d+):(\d+)/.exec(iso) ?? []
  if (time === undefined) return iso
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  const named = date.toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' })
  const other = year === String(new Date(now).getFullYear()) ? '' : ` ${year}`
  return `${named.replace(',', '')}${other} ${time}${s === '00' ? '' : `:${s}`}`
}

/** The zones to choose from: the schedule's own, the reader's, UTC, then all that the browser knows. */
export function zones(own: string): string[] {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  return [...new Set([own, here, 'UTC', ...Intl.supportedValuesOf('timeZone')])]
}
