import { type ReactNode, useState } from 'react'
import { bytes } from '../format'
import { Icon } from '../parts/Icon'
import { say } from '../parts/toasting'
import { texts } from '../texts'
import { DataTree, Redacted } from './DataTree'
import { isBranch } from './tree'

const says = texts.job

/** A search is offered for values that are longer than this, as JSON. */
const SEARCHED = 400

interface Props {
  title: string
  /** Of the value at the root of the tree. */
  root: string
  value: unknown
  size?: number
  /** Beside the title, where there is no size. */
  note?: ReactNode
  redacted?: boolean
  right?: ReactNode
  children?: ReactNode
}

/** Something that a job holds: as a tree with a search, or as raw JSON. */
export function Held({ title, root, value, size, note, redacted = false, right, children }: Props) {
  const [raw, setRaw] = useState(false)
  const [wanted, setWanted] = useState('')
  const text = redacted ? '' : (JSON.stringify(value, null, 2) ?? 'null')
  const many = isBranch(value)
  const copy = () => void navigator.clipboard.writeText(text).then(() => say(says.copiedJson))
  return (
    <Section
      title={title}
      note={size === undefined ? note : bytes(size)}
      right={
        <>
          {right}
          {!redacted && many && (
            <div className="seg" role="group" aria-label={says.view}>
              {[false, true].map((one) => (
                <button key={String(one)} aria-pressed={raw === one} onClick={() => setRaw(one)}>
                  {one ? says.raw : says.tree}
                </button>
              ))}
            </div>
          )}
          {!redacted && (
            <button className="icon-btn" title={says.copyJson} onClick={copy}>
              <Icon name="copy" />
            </button>
          )}
        </>
      }
    >
      {redacted ? (
        <Redacted says={says.noRight} />
      ) : raw ? (
        <pre className="stack raw" tabIndex={0}>{text}</pre>
      ) : (
        <>
          {many && text.length > SEARCHED && (
            <input className="input small-input whole" type="search" placeholder={says.searchTree} aria-label={says.searchTree} value={wanted} onChange={(event) => setWanted(event.target.value)} />
          )}
          <DataTree name={root} value={value} wanted={wanted} />
        </>
      )}
      {children}
    </Section>
  )
}

export function Section({ title, note, right, children }: { title: string; note?: ReactNode; right?: ReactNode; children: ReactNode }) {
  return (
    <section className="rail-sec" aria-label={title}>
      <div className="head">
        <h2>{title}</h2>
        {note && <span className="small quiet">{note}</span>}
        <div className="right">{right}</div>
      </div>
      {children}
    </section>
  )
}
