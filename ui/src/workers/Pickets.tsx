import { pickets, type Worker } from './fleet'

/** Slots as posts: tall where a job runs, short where it is free. The words beside it hold the numbers. */
export function Pickets({ worker }: { worker: Worker }) {
  const drawn = pickets(worker)
  return (
    <svg className="pickets" width={drawn.width} height="16" viewBox={`0 0 ${drawn.width} 16`} preserveAspectRatio="none" aria-hidden="true">
      <path className="rail" d={`M0 15.5H${drawn.width}`} />
      {drawn.posts.map(({ x, busy }) => (
        <rect key={x} className={busy ? 'on' : 'off'} x={x} y={busy ? 1 : 9} width="2" height={busy ? 13 : 5} rx="1" />
      ))}
    </svg>
  )
}
