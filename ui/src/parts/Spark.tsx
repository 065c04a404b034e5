/** A small line over its own range, from zero; the words beside it hold the numbers. */
export function Spark({ values, level, label }: { values: number[]; level: string; label: string }) {
  const top = Math.max(1, ...values)
  const x = (at: number) => (at / Math.max(1, values.length - 1)) * 104
  const y = (value: number) => 23 - (value / top) * 21
  const line = values.map((value, at) => `${at ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')
  const tone = level === 'trouble' ? 'hot' : level === 'watch' ? 'warm' : ''
  return (
    <svg className={`spark ${tone}`} width="104" height="24" viewBox="0 0 104 24" role="img" aria-label={label}>
      <path className="area" d={`${line}L104 23L0 23Z`} />
      <path className="line" d={line} />
    </svg>
  )
}
