import { useMemo, useState } from 'react'
import { Glyph } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { say } from '../parts/toasting'
import { texts } from '../texts'
import { pieces } from './logLines'
import { type Hits, type Row, rows, search } from './tree'

const says = texts.job

/** Longer values are folded. */
const LONG = 120

/** JSON that opens branch by branch; the first level is open, and all that a search finds. */
export function DataTree({ name, value, wanted = '' }: { name: string; value: unknown; wanted?: string }) {
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set())
  const turn = (path: string) => {
    const next = new Set(turned)
    if (!next.delete(path)) next.add(path)
    setTurned(next)
  }
  const hits = useMemo(() => (wanted ? search(value, wanted) : null), [value, wanted])
  const found = rows(name, value, (path, depth) => hits?.above.has(path) || (depth === 0) !== turned.has(path))
  return (
    <>
      {hits && (
        <p className="small quiet" role="status">
          {says.found(hits.fit.size)}
        </p>
      )}
      <ul className="tree">
        {found.map((row) => (
          <TreeRow key={row.path} row={row} hits={hits} wanted={wanted} onTurn={() => turn(row.path)} />
        ))}
      </ul>
    </>
  )
}

function TreeRow({ row, hits, wanted, onTurn }: { row: Row; hits: Hits | null; wanted: string; onTurn: () => void }) {
  const mark = (text: string) => (hits?.fit.has(row.path) ? pieces(text, wanted).map((piece, n) => (n % 2 ? <mark key={n}>{piece}</mark> : piece)) : text)
  const copy = (text: string, what: string) => void navigator.clipboard.writeText(text).then(() => say(says.copied(what)))
  return (
    <li data-depth={Math.min(row.depth, 8)}>
      {row.kind === 'branch' ? (
        <button className="x turn" aria-expanded={row.open} aria-label={says.branch(row.key, row.text)} onClick={onTurn}>
          {row.open ? '▾' : '▸'}
        </button>
      ) : (
        <span className="x" />
      )}
      <span className="k">{mark(row.key)}</span>
      <Value row={row} mark={mark} />
      {row.kind !== 'more' && row.kind !== 'hidden' && (
        <Menu
          label={says.rowMenu(row.at)}
          choices={[
            { name: says.copyValue, icon: 'copy', reads: true, run: () => copy(typeof row.value === 'string' ? row.value : JSON.stringify(row.value, null, 2), row.key) },
            { name: says.copyPath, icon: 'copy', reads: true, run: () => copy(row.at, row.at) },
          ]}
        />
      )}
    </li>
  )
}

function Value({ row, mark }: { row: Row; mark: (text: string) => React.ReactNode }) {
  const [whole, setWhole] = useState(false)
  if (row.kind === 'hidden') return <span className="v"><Hidden /></span>
  if (row.kind === 'more') return <span className="v x">{says.more(Number(row.text))}</span>
  const long = row.text.length > LONG
  const tone = row.kind === 'text' ? 's' : row.kind === 'number' ? 'n' : 'x'
  return (
    <span className={whole ? 'v whole' : long ? 'v folded' : 'v'} title={!whole && row.text.length > 30 ? row.text.slice(0, 1_000) : undefined}>
      <span className={tone}>{mark(long && !whole ? `${row.text.slice(0, LONG)}…` : row.text)}</span>
      {long && (
        <button className="link small bare fold-value" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {whole ? says.showLess : says.showAll(row.text.length)}
        </button>
      )}
    </span>
  )
}

function Hidden() {
  return (
    <span className="redacted">
      <Glyph name="lock" />
      <span>{says.redacted}</span>
    </span>
  )
}

/** In place of all that a job holds. */
export function Redacted({ says: why }: { says: string }) {
  return (
    <>
      <Hidden />
      <p className="note-box above">{why}</p>
    </>
  )
}
