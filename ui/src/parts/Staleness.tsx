import { ago } from '../format'
import { Icon } from './Icon'

interface Asked {
  isError: boolean
  error: Error | null
  data?: unknown
  dataUpdatedAt: number
}

/** Says that what is shown is old, how old, and why. Nothing while answers come. */
export function Staleness({ of }: { of: Asked }) {
  if (!of.isError) return null
  return (
    <div className="banner down" role="alert">
      <Icon name="redis" />
      <strong className="strong">{of.error?.message}</strong>
      <span className="muted">
        {of.data ? `What you see is of ${ago(of.dataUpdatedAt / 1000)}. ` : ''}
        Actions are off until it answers; jobs stay where they are.
      </span>
    </div>
  )
}
