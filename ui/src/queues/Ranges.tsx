import { texts } from '../texts'
import { type Range, RANGES } from './series'

/** How far back charts go. */
export function Ranges({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  return (
    <div className="seg" role="group" aria-label={texts.charts.howFar}>
      {RANGES.map((one) => (
        <button key={one.key} aria-pressed={one === range} onClick={() => onChange(one)}>
          {one.key}
        </button>
      ))}
    </div>
  )
}
