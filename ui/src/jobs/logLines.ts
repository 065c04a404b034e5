// A row of a job's log, taken apart as far as it follows a custom: [time] [level] text.

export interface LogLine {
  level: '' | 'debug' | 'info' | 'warn' | 'error'
  time: string
  text: string
}

const LEVELS: Record<string, LogLine['level']> = {
  debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error', critical: 'error', fatal: 'error',
}
const TIME = /^\[?(\d{4}-\d\d-\d\d[T ])?(\d\d:\d\d:\d\d([.,]\d{1,3})?)\d*(Z|[+-]\d\d:?\d\d)?\]?\s+/
const LEVEL = /^\[?(debug|info|warn|warning|error|critical|fatal)\]?:?\s+/i

export function logLine(row: string): LogLine {
  const time = TIME.exec(row)
  const rest = time ? row.slice(time[0].length) : row
  const level = LEVEL.exec(rest)
  return {
    time: time?.[2] ?? '',
    level: level ? LEVELS[level[1]!.toLowerCase()]! : '',
    text: level ? rest.slice(level[0].length) : rest,
  }
}

/** A text in pieces: those at odd places are what was searched for, whatever their case. */
export function pieces(text: string, wanted: string): string[] {
  if (!wanted) return [text]
  const found: string[] = []
  const low = text.toLowerCase()
  let at = 0
  for (let hit = low.indexOf(wanted.toLowerCase()); hit >= 0; hit = low.indexOf(wanted.toLowerCase(), at)) {
    found.push(text.slice(at, hit), text.slice(hit, hit + wanted.length))
    at = hit + wanted.length
  }
  return [...found, text.slice(at)]
}

/** Places of the lines that hold a text, whatever its case. */
export function matches(lines: readonly LogLine[], wanted: string): number[] {
  if (!wanted) return []
  const low = wanted.toLowerCase()
  return lines.flatMap((line, n) => (line.text.toLowerCase().includes(low) ? [n] : []))
}
