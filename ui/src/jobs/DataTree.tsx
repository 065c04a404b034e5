import { useState } from 'react'
import { Glyph } from '../parts/Icon'
import { rows } from './tree'

/** JSON that opens branch by branch; the first level is open. */
export function DataTree({ name, value }: { name: string; value: unknown }) {
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set())
  const turn = (path: string) => {
    const next = new Set(turned)
    if (!next.delete(path)) next.add(path)
    setTurned(next)
  }
  const found = rows(name, value, (path, depth) => (depth === 0) !== turned.has(path))
  return (
    <ul className="tree">
      {found.map((row) => (
        <li key={row.path} data-depth={Math.min(row.depth, 8)}>
          {row.kind === 'branch' ? (
            <button className="x turn" aria-expanded={row.open} aria-label={`${row.key}, ${row.text}`} onClick={() => turn(row.path)}>
              {row.open ? '▾' : '▸'}
            </button>
          ) : (
            <span className="x" />
          )}
          <span className="k">{row.key}</span>
          <span className={`v ${row.kind === 'text' ? 'long' : ''}`} title={row.text.length > 40 ? row.text : undefined}>
            <span className={row.kind === 'text' ? 's' : row.kind === 'number' ? 'n' : 'x'}>{row.text}</span>
          </span>
        </li>
      ))}
    </ul>
  )
}

export function Redacted({ says }: { says: string }) {
  return (
    <>
      <span className="redacted">
        <Glyph name="lock" />
        <span>redacted</span>
      </span>
      <p className="note-box above">{says}</p>
    </>
  )
}
