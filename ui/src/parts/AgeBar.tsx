/** The age of the oldest job; the tick is the objective, at one third. */
export function AgeBar({ seconds, objective }: { seconds: number; objective: number }) {
  const share = Math.min(1, seconds / objective / 3)
  return (
    <span className={`bar ${seconds > objective ? 'over' : ''}`} aria-hidden="true">
      <i className={seconds > 0 ? undefined : 'none'} style={{ width: `${share * 100}%` }} />
      <u style={{ left: '33.3%' }} />
    </span>
  )
}
