import { ActButton } from '../parts/ActButton'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { isOver, type Operation, told } from './groups'

/** How a running operation stands, with Stop for who may. */
export function Progress({ operation, onStop }: { operation: Operation; onStop?: (operation: Operation) => void }) {
  const { says, share, facts } = told(operation)
  return (
    <>
      <div
        className="progress"
        role="progressbar"
        aria-label={says}
        aria-valuenow={share === null ? undefined : Math.round(share * 100)}
      >
        <i style={{ width: `${(share ?? 0) * 100}%` }} />
      </div>
      <div className="run">
        <span className="strong now">{says}</span>
        {facts.map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
        {onStop && !isOver(operation) && operation.state !== 'stopping' && (
          <ActButton className="btn sm" onClick={() => onStop(operation)}>
            <Icon name="stop" />
            {texts.dead.stop}
          </ActButton>
        )}
      </div>
    </>
  )
}
