// Numbers and times as the pages write them: exact, with their unit, never breaking within.
import { parts as says } from './texts/parts'

const NBSP = '\u00a0'

const THOUSANDS = /\B(?=(?:\d{3})+$)/g

/** 1,840 in full up to 99,999, then 1.2 M. Without the browser's formatter: its first use costs a page 35 ms. */
export function count(value: number): string {
  if (Math.abs(value) < 100_000) return String(Math.round(value) || 0).replace(THOUSANDS, ',')
  const [unit, factor] = value < 999_500 ? ['k', 1e3] : value < 999_500_000 ? ['M', 1e6] : ['G', 1e9]
  const scaled = value / (factor as number)
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)}${NBSP}${unit}`
}

/** A rate a second: 0, 0.4, 4.9, 42, 3,959. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return '0'
  if (perSecond < 0.05) return '<0.1'
  return perSecond < 10 ? perSecond.toFixed(1).replace(/\.0$/, '') : count(perSecond)
}

/** A duration in its two largest units: 0.4 s, 12 s, 6 m 12 s, 3 h 05 m, 2 d 4 h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null) return '–'
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)}${NBSP}ms`
  if (seconds < 9.95) return `${seconds.toFixed(1)}${NBSP}s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}${NBSP}s`
  const two = (n: number) => String(n).padStart(2, '0')
  if (whole < 3600) return join(Math.floor(whole / 60), 'm', two(whole % 60), 's')
  const minutes = Math.floor(whole / 60)
  if (minutes < 1440) return join(Math.floor(minutes / 60), 'h', two(minutes % 60), 'm')
  const hours = Math.floor(minutes / 60)
  return join(Math.floor(hours / 24), 'd', String(hours % 24), 'h')
}

/** A round duration without its zeros: 1 m, 24 h, 30 d. */
export function span(seconds: number): string {
  for (const [unit, size] of [['d', 86_400], ['h', 3600], ['m', 60]] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${NBSP}${unit}`
  }
  return duration(seconds)
}

function join(...parts: (string | number)[]): string {
  return parts.join(NBSP)
}

/** A share of one: 1.5 %. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}${NBSP}%`
}

export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let at = 0
  let left = value
  while (left >= 1000 && at < units.length - 1) {
    left /= 1024
    at += 1
  }
  return `${left < 10 && at > 0 ? left.toFixed(1) : Math.round(left)}${NBSP}${units[at]}`
}

/** Where the clock is read: a zone that the reader chose, else the browser's own. */
let timeZone: string | undefined

export function showTimesIn(zone: string): void {
  timeZone = zone || undefined
}

/** The time of the day where the reader is; with the date if it is another day. */
export function clock(epochSeconds: number, now = Date.now() / 1000): string {
  const at = new Date(epochSeconds * 1000)
  const day = (of: Date) => of.toLocaleDateString('en-CA', { timeZone })
  const time = at.toLocaleTimeString('en-GB', { timeZone })
  return day(at) === day(new Date(now * 1000)) ? time : `${day(at)} ${time}`
}

/** The zone that was chosen; undefined: the browser's own. */
export function shownZone(): string | undefined {
  return timeZone
}

/** Date and time to the minute. */
export function stamp(epochSeconds: number): string {
  return clock(epochSeconds, 0).slice(0, '2026-11-29 08:30'.length)
}

/** The time of the day to the millisecond; of another day its date instead of that. */
export function precise(epochSeconds: number, now = Date.now() / 1000): string {
  const at = clock(epochSeconds, now)
  const milliseconds = Math.floor((epochSeconds % 1) * 1000)
  return at.includes(' ') ? at.slice('2026-'.length) : `${at}.${String(milliseconds).padStart(3, '0')}`
}

/** How long ago, in words that stay true for a while: now, 12 s ago, 6 m ago. */
export function ago(epochSeconds: number, now = Date.now() / 1000): string {
  const seconds = now - epochSeconds
  if (seconds < 2) return says.now
  if (seconds < 60) return says.ago(`${Math.round(seconds)}${NBSP}s`)
  if (seconds < 3600) return says.ago(`${Math.round(seconds / 60)}${NBSP}m`)
  if (seconds < 48 * 3600) return says.ago(`${Math.round(seconds / 3600)}${NBSP}h`)
  return says.ago(`${Math.round(seconds / 86_400)}${NBSP}d`)
}

export function exact(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString()
}

/** How long until then, in words that stay true for a while: now, in 12 s, in 6 m, in 3 h, in 2 d. */
export function until(epochSeconds: number, now = Date.now() / 1000): string {
  const seconds = epochSeconds - now
  if (seconds < 1) return says.now
  if (seconds < 60) return says.in(`${Math.round(seconds)}${NBSP}s`)
  if (seconds < 3600) return says.in(`${Math.round(seconds / 60)}${NBSP}m`)
  if (seconds < 48 * 3600) return says.in(`${Math.round(seconds / 3600)}${NBSP}h`)
  return says.in(`${Math.round(seconds / 86_400)}${NBSP}d`)
}

/** A fragment as the start of a sentence. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
