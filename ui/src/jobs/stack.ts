// A stack trace as the page shows it.

export interface StackLine {
  number: string
  text: string
  where?: string
  hot?: boolean
}

/** What the last line of a trace says after the class. */
export function message(trace: string | null): string | null {
  const line = trace?.trimEnd().split('\n').findLast((row) => row && !row.startsWith(' '))
  const cut = line?.indexOf(': ') ?? -1
  return cut < 0 ? null : line!.slice(cut + 2)
}

/** A Python trace as lines with their numbers, the place that raised it marked; another's line by line. */
export function stackLines(trace: string): StackLine[] {
  const rows = trace.trimEnd().split('\n')
  const lines: StackLine[] = []
  for (let n = 0; n < rows.length; n += 1) {
    const frame = /^ {2}File "(.+)", line (\d+), in (.+)$/.exec(rows[n]!)
    if (frame) {
      lines.push({ number: '', text: `${shortPath(frame[1]!)} in `, where: frame[3] })
      const code = rows[n + 1]?.startsWith('    ') ? rows[(n += 1)]!.trim() : ''
      lines.push({ number: frame[2]!, text: code })
    } else if (!rows[n]!.startsWith('Traceback ')) {
      lines.push({ number: '', text: rows[n]! })
    }
  }
  const frames = lines.findLastIndex((line) => line.number !== '')
  // The class and its message stand above the trace already.
  if (frames >= 0 && frames === lines.length - 2) lines.pop()
  const last = lines[frames]
  if (last) last.hot = true
  return lines
}

function shortPath(path: string): string {
  return path.split('/').slice(-3).join('/')
}
