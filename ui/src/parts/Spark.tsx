interface Props {
  /** Null where nothing was recorded: a gap. */
  values: (number | null)[]
  level: string
  label: string
  /** Where something happened, 0 to 1 of its width. */
  mark?: number | null
}

/** Less than this is no height: one job that comes and goes is no mountain. */
const LEAST_TOP = 10

/** A small line over its own range, from zero; the words beside it hold the numbers. */
export function Spark({ values, level, label, mark }: Props) {
  const top = Math.max(LEAST_TOP, ...values.map((value) => value ?? 0))
  const x = (at: number) => ((at / Math.max(1, values.length - 1)) * 104).toFixed(1)
  const y = (value: number) => (23 - (value / top) * 21).toFixed(1)
  const runs = unbroken(values)
  const line = runs.map(({ from, run }) => run.map((value, n) => `${n ? 'L' : 'M'}${x(from + n)} ${y(value)}`).join('')).join('')
  const area = runs
    .filter(({ run }) => run.length > 1)
    .map(({ from, run }) => `M${x(from)} 23${run.map((value, n) => `L${x(from + n)} ${y(value)}`).join('')}L${x(from + run.length - 1)} 23Z`)
    .join('')
  const tone = level === 'trouble' ? 'hot' : level === 'watch' ? 'warm' : ''
  return (
    <svg className={`spark ${tone}`} width="104" height="24" viewBox="0 0 104 24" role="img" aria-label={label}>
      <path className="area" d={area} />
      {mark != null && <path className="mark" d={`M${(mark * 104).toFixed(1)} 0V23`} />}
      <path className="line" d={line} />
      {runs.map(({ from, run }) => run.length === 1 && <circle key={from} className="dot" cx={x(from)} cy={y(run[0]!)} r="1" />)}
    </svg>
  )
}

/** The values without a gap between them, and where each run begins. */
function unbroken(values: (number | null)[]): { from: number; run: number[] }[] {
  const runs: { from: number; run: number[] }[] = []
  values.forEach((value, at) => {
    if (value == null) return
    const last = runs.at(-1)
    if (last && last.from + last.run.length === at) last.run.push(value)
    else runs.push({ from: at, run: [value] })
  })
  return runs
}
