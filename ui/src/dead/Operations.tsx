import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import { clock, duration } from '../format'
import { errorName, type Group, isOf, isOver, type Operation, person, placeOf, told, undoLeft } from './groups'
import { Progress } from './Progress'

interface Props {
  operations: Operation[]
  groups: Group[]
  now: number
  onStop?: (operation: Operation) => void
  onUndo?: (operation: Operation) => void
}

/** What was done with many dead letters, the newest first; what runs, with Stop; what can be taken back. */
export function Operations({ operations, groups, now, onStop, onUndo }: Props) {
  if (operations.length === 0) {
    return (
      <div className="empty">
        <h2>Nothing was retried or discarded yet</h2>
        <p>Each retry and discard of many is here, with who began it, how far it is, and Undo for ten minutes.</p>
      </div>
    )
  }
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>What</th>
          <th>Queue</th>
          <th>Who</th>
          <th>When</th>
          <th>
            <span className="sr">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {operations.map((operation) => {
          const { says, facts } = told(operation)
          const group = groups.find((one) => isOf(operation, one))
          const before = operations.find((one) => one.id === operation.undoes)
          const about = before ? `what ${person(before.by)} discarded at ${clock(before.created)}` : group ? `${errorName(group.error)} at ${placeOf(group.frame)}` : operation.about
          const left = undoLeft(operation, now, operations)
          return (
            <tr key={operation.id}>
              <td className="full operation">
                {isOver(operation) ? (
                  <>
                    <Glyph name={operation.state === 'done' ? 'completed' : 'paused'} className={operation.state === 'done' ? 'is-completed' : ''} />{' '}
                    <b className="strong">{says}</b>
                    <span className="second">{[about, ...facts].join(' · ')}</span>
                  </>
                ) : (
                  <Progress operation={operation} onStop={onStop} />
                )}
              </td>
              <td data-l="Queue">{operation.queue}</td>
              <td data-l="Who">{person(operation.by)}</td>
              <td data-l="When">
                <Time at={operation.created} />
                {operation.ended !== null && <span className="second">took {duration(operation.ended - operation.created)}</span>}
              </td>
              <td className="num">
                {onUndo && left > 0 && (
                  <>
                    <button className="btn sm" onClick={() => onUndo(operation)}>
                      Undo
                    </button>
                    <span className="second">{duration(left)} left</span>
                  </>
                )}
              </td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}
