import { count, exact } from '../format'
import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import { texts } from '../texts'
import { Progress } from './Progress'
import { errorName, type Group, keyOf, type Operation, placeOf, remark, sentence } from './groups'

const said = texts.dead

interface Props {
  group: Group
  hours: number[] | undefined
  now: number
  open: boolean
  selected: boolean
  running: Operation[]
  onOpen: () => void
  onSelect?: (selected: boolean) => void
  onStop?: (operation: Operation) => void
}

export function GroupRow({ group, hours, now, open, selected, running, onOpen, onSelect, onStop }: Props) {
  const remarkable = remark(group, now)
  return (
    <li className={open ? 'group open' : 'group'} onClick={onOpen} data-group={keyOf(group)}>
      {onSelect ? (
        <input
          className="check"
          type="checkbox"
          aria-label={said.selectGroup(errorName(group.error), group.queue)}
          checked={selected}
          onClick={(event) => event.stopPropagation()}
          onChange={(event) => onSelect(event.target.checked)}
        />
      ) : (
        <span />
      )}
      <div>
        <button className="title" aria-current={open || undefined}>
          <span className="is-failed" title={group.error}>
            {errorName(group.error)}
          </span>
          : {sentence(group)}
        </button>
        <div className="where">{placeOf(group.frame) || said.noStack}</div>
        <div className="meta">
          <span>{group.queue}</span>
          <span>{group.name}</span>
          <span title={said.between(exact(group.firstSeen), exact(group.lastSeen))}>
            <Time at={group.firstSeen} /> {said.to} <Time at={group.lastSeen} />
          </span>
          {group.notes > 0 && <span>{said.notes(group.notes)}</span>}
          {remarkable && (
            <span className={remarkable.bad ? 'is-failed' : ''}>
              {remarkable.bad && <Glyph name="alert" />} {remarkable.says}
            </span>
          )}
        </div>
      </div>
      <Hours of={hours} hot={open} />
      <div className="n">
        {count(group.count)}
        <span className="sr"> {said.jobsUnit}</span>
      </div>
      {running.map((operation) => (
        <div className="below" key={operation.id} onClick={(event) => event.stopPropagation()}>
          <Progress operation={operation} onStop={onStop} />
        </div>
      ))}
    </li>
  )
}

/** When they failed: a bar for each of the last 24 hours. */
function Hours({ of, hot }: { of: number[] | undefined; hot: boolean }) {
  const top = Math.max(1, ...(of ?? []))
  return (
    <svg className="spark" width="120" height="24" viewBox="0 0 120 24" role="img" aria-label={said.lastHour(of?.at(-1))}>
      <path d="M0 23.5H120" className="ground" />
      {of?.map((failed, hour) => {
        const height = (failed / top) * 22
        return failed > 0 && <rect key={hour} className={hot ? 'hot' : ''} x={hour * 5 + 0.5} y={24 - height} width="3.5" height={height} />
      })}
    </svg>
  )
}
