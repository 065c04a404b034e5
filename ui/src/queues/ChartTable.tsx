import { useState } from 'react'
import { texts } from '../texts'
import { Time } from '../parts/Time'
import { stamp } from '../format'
import type { Drawn } from './drawing'

/** A chart's numbers for who cannot see it, and for copying; made when it is opened. */
export function ChartTable({ at, lines, marks, write }: Pick<Drawn, 'lines' | 'marks' | 'write'> & { at: number[] }) {
  const [open, setOpen] = useState(false)
  return (
    <details className="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="small quiet">{texts.charts.asTable}</summary>
      {open && (
        <div className="chart-rows" tabIndex={0} role="region" aria-label={texts.charts.asTable}>
          {marks.length > 0 && (
            <ul className="small">
              {marks.map((mark) => (
                <li key={`${mark.at} ${mark.says}`}>
                  <Time at={mark.at} /> {mark.says}
                </li>
              ))}
            </ul>
          )}
          <table className="small">
            <thead>
              <tr>
                <th scope="col">{texts.charts.time}</th>
                {lines.map((line) => (
                  <th key={line.name} scope="col" className="num">
                    {line.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {at.map((moment, n) => (
                <tr key={moment}>
                  <th scope="row">{stamp(moment)}</th>
                  {lines.map((line) => (
                    <td key={line.name} className="num">
                      {line.values[n] == null ? texts.charts.none : write(line.values[n])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  )
}
