import type { ReactNode } from 'react'

/** A part of the rail. */
export function Section({ title, right, children }: { title: string; right?: ReactNode; children: ReactNode }) {
  return (
    <div className="rail-sec">
      <div className="head">
        <h2>{title}</h2>
        <div className="right">{right}</div>
      </div>
      {children}
    </div>
  )
}
