import { count, duration, rate, span } from '../format'
import { AgeBar } from '../parts/AgeBar'
import { Glyph, Icon } from '../parts/Icon'
import type { RowMarks } from '../shell/useCursor'
import { texts } from '../texts'
import type { Group } from './groups'
import { toneOf } from './QueueLine'

const say = texts.overview

/** Queues of one prefix as one row, with their counts added up and the worst of them named. */
export function GroupRow({ marks, group, open, at, onTurn }: { group: Group; open: boolean; at: number; onTurn: (prefix: string) => void; marks: RowMarks }) {
  const { rolled } = group
  const { condition, queue } = rolled.worst
  const tone = toneOf(condition)
  return (
    <tr {...marks} className={`group-row ${open || condition.level === 'calm' ? '' : condition.level}`} aria-rowindex={at + 2}>
      <td className="full">
        <button className="row-open turn" aria-expanded={open} onClick={() => onTurn(group.prefix)}>
          <Icon name="down" />
          <b>{group.prefix}</b>
          <span className="quiet">{say.group.queues(count(group.queues.length))}</span>
        </button>
        {!open && condition.level !== 'calm' && (
          <span className={`second worst ${tone}`}>
            <Glyph name={condition.glyph} /> {say.group.worst(queue, condition.says)}
          </span>
        )}
      </td>
      <td className="num" data-l={say.columns.waiting}>
        {count(rolled.waiting)}
      </td>
      <td className="two" data-l={say.columns.oldestShort}>
        <span className={rolled.oldest > rolled.objective ? 'is-failed' : ''}>{rolled.oldest ? duration(rolled.oldest) : say.unknown}</span>
        <span className="quiet">{say.of(span(rolled.objective))}</span>
        {!open && <AgeBar seconds={rolled.oldest} objective={rolled.objective} />}
      </td>
      <td className="num wide-only">{rate(rolled.arrives)}</td>
      <td className="num" data-l={say.columns.out}>
        {rate(rolled.ends)}
      </td>
      <td className="wide-only" />
      <td className="num wide-only">{rolled.dead ? say.dead(count(rolled.dead)) : <span className="zero">{say.noneDead}</span>}</td>
      <td className="col-wide wide-only" />
      <td className="col-wide wide-only">{rolled.slots > 0 && <span className="quiet">{say.slots(count(rolled.busy), count(rolled.slots))}</span>}</td>
      <td className="wide-only c-spark" />
      <td className="wide-only" />
    </tr>
  )
}
