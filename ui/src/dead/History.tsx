import { useState } from 'react'
import { Glyph, type GlyphName } from '../parts/Icon'
import { Time } from '../parts/Time'
import { useNotes } from './desk'
import { type Group, type Operation, person, told } from './groups'
import { texts } from '../texts'

const say = texts.dead

interface Entry {
  at: number
  glyph: GlyphName
  tone?: string
  says: string
  second?: string
}

/** What happened to a group and what people said of it, the newest first; and a note to add. */
export function History({ group, operations, onNote }: { group: Group; operations: Operation[]; onNote?: (text: string) => Promise<void> }) {
  const notes = useNotes(group)
  const [text, setText] = useState('')
  const entries: Entry[] = [
    ...(group.notes ? (notes.data?.notes ?? []) : []).map(
      (note): Entry => ({ at: note.at, glyph: 'plus', says: note.text, second: person(note.by) }),
    ),
    ...operations.map(
      (operation): Entry => ({ at: operation.created, glyph: 'active', says: told(operation).says, second: say.by(person(operation.by)) }),
    ),
    { at: group.lastSeen, glyph: 'failed', tone: 'is-failed', says: say.seenLast },
    { at: group.firstSeen, glyph: 'failed', tone: 'is-failed', says: say.seenFirst },
  ]
  if (group.stateSince && group.state !== 'open') {
    const says = group.state === 'resolved' ? say.states.resolved : say.states.ignored
    entries.push({ at: group.stateSince, glyph: 'completed', says, second: say.by(person(group.stateBy)) })
  }
  entries.sort((a, b) => b.at - a.at)
  return (
    <div className="rail-sec">
      <div className="head">
        <h2>{say.history}</h2>
      </div>
      <ol className="ledger">
        {entries.map((entry, at) => (
          <li key={at}>
            <Time at={entry.at} />
            <Glyph name={entry.glyph} className={entry.tone} />
            <div>
              {entry.says}
              {entry.second && <span className="second">{entry.second}</span>}
            </div>
          </li>
        ))}
      </ol>
      {onNote && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            if (text.trim()) void onNote(text).then(() => setText(''))
          }}
        >
          <input
            className="input note"
            aria-label={say.addNote}
            placeholder={say.addNote}
            maxLength={2_000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </form>
      )}
    </div>
  )
}
