// A chart as a sentence: what a line is now, and how far it went.
import { texts } from '../texts'
import type { Drawn } from './drawing'
import { worst } from './series'

/** `name`: of the chart; `range`: how far back, in words. */
export function inWords(name: string, range: string, { lines, marks, write }: Pick<Drawn, 'lines' | 'marks' | 'write'>): string {
  const told = lines.flatMap((line) => {
    const most = worst(line.values)
    if (most === null) return []
    return [texts.charts.lineInWords(line.name, write(line.values.findLast((value) => value != null)!), write(most))]
  })
  return texts.charts.inWords(name, range, told, marks.map((mark) => mark.says))
}
