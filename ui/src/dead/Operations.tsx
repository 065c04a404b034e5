import { ActButton } from '../parts/ActButton'
import { Glyph } from '../parts/Icon'
import { Time } from '../parts/Time'
import { clock, duration } from '../format'
import { errorName, type Group, isOf, isOver, type Operation, person, placeOf, told, undoLeft } from './groups'
import { Progress } from './Progress'
import { texts } from '../texts'

const say = texts.dead

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
        <h2>{say.noOperation.title}</h2>
        <p>{say.noOperation.says}</p>
      </div>
    )
  }
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>{say.columns.what}</th>
          <th>{say.columns.queue}</th>
          <th>{say.columns.who}</th>
          <th>{say.columns.when}</th>
          <th>
            <span className="sr">{say.columns.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {operations.map((operation) => {
          const { says, facts } = told(operation)
          const group = groups.find((one) => isOf(operation, one))
          const before = operations.find((one) => one.id === operation.undoes)
          const about = before ? say.whatWasDiscarded(person(before.by), clock(before.created)) : group ? say.errorAt(errorName(group.error), placeOf(group.frame)) : operation.about
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
              <td className="two" data-l={say.columns.queue}>{operation.queue}</td>
              <td data-l={say.columns.who}>{person(operation.by)}</td>
              <td data-l={say.columns.when}>
                <Time at={operation.created} />
                {operation.ended !== null && <span className="second">{say.took(duration(operation.ended - operation.created))}</span>}
              </td>
              <td className="num">
                {onUndo && left > 0 && (
                  <>
                    <ActButton className="btn sm" onClick={() => onUndo(operation)}>
                      {say.undo}
                    </ActButton>
                    <span className="second">{say.left(duration(left))}</span>
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
