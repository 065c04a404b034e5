import { ago, clock, exact } from '../format'

/** A moment: relative or as a time of the day, exact on hover. */
export function Time({ at, relative = false }: { at: number; relative?: boolean }) {
  return (
    <time dateTime={exact(at)} title={exact(at)}>
      {relative ? ago(at) : clock(at)}
    </time>
  )
}
