import { useEffect, useId, useMemo, useRef, useState } from 'react'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { type Chips, settled, textOf, typing, without, wordsOf } from './chips'
import { type Known, suggest } from './filter'

/** Typed words take effect after so long. */
const SETTLE_MS = 350

interface Props {
  text: string
  known: Known
  wrong: string[]
  onChange: (text: string) => void
}

/**
 * The filter of a list. Words that are whole are chips, which Backspace in the empty field takes away from the end.
 * What may come next is offered below, and taken with the arrow keys and Tab or Enter.
 */
export function FilterField({ text, known, wrong, onChange }: Props) {
  const [chips, setChips] = useState<Chips>({ whole: wordsOf(text), typed: '' })
  const { whole, typed } = chips
  const [open, setOpen] = useState(false)
  const [at, setAt] = useState(-1)
  const list = useId()
  const input = useRef<HTMLInputElement>(null)
  const offered = useMemo(() => (open ? suggest(typed, known) : []), [open, typed, known])
  // The address was changed by another: a link, the way back, "clear".
  useEffect(() => setChips((chips) => (textOf(chips) === textOf({ whole: wordsOf(text), typed: '' }) ? chips : { whole: wordsOf(text), typed: '' })), [text])
  useEffect(() => {
    if (textOf(chips) === text) return
    const timer = setTimeout(() => onChange(textOf(chips)), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [chips])
  useEffect(() => setAt(-1), [typed])

  const take = (next: string) => {
    setChips(typing(chips, next))
    // A qualifier asks for its value; a whole word is an answer, and the list below is what is wanted then.
    setOpen(!next.endsWith(' '))
    input.current?.focus()
  }
  const press = (event: React.KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step && offered.length) {
      event.preventDefault()
      setAt((at + step + offered.length) % offered.length)
    } else if ((event.key === 'Enter' || event.key === 'Tab') && offered[at]) {
      event.preventDefault()
      take(offered[at].text)
    } else if (event.key === 'Enter') {
      setOpen(false)
      setChips(settled(chips))
      onChange(textOf(chips))
    } else if (event.key === 'Backspace' && typed === '' && whole.length > 0) {
      event.preventDefault()
      setChips(without(chips, whole.length - 1))
    } else if (event.key === 'Escape' && open) {
      event.preventDefault()
      setOpen(false)
    }
  }
  return (
    <div className="field filter-field">
      <Icon name="search" />
      {whole.length > 0 && (
        <ul className="filter-chips" aria-label={texts.joblist.chips}>
          {whole.map((word, place) => (
            <li key={`${place} ${word}`}>
              <button
                type="button"
                className="filter-chip mono"
                aria-label={texts.joblist.removeChip(word)}
                title={texts.joblist.removeChip(word)}
                onClick={() => {
                  setChips(without(chips, place))
                  input.current?.focus()
                  // What is wanted now is the list below, not what else could be asked.
                  setOpen(false)
                }}
              >
                <span>{word}</span>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        ref={input}
        id="filter"
        className="bare mono"
        type="search"
        role="combobox"
        aria-expanded={offered.length > 0}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={offered[at] ? `${list}-${at}` : undefined}
        aria-invalid={wrong.length > 0}
        aria-describedby={wrong.length > 0 ? 'filter-wrong' : undefined}
        value={typed}
        spellCheck={false}
        autoComplete="off"
        aria-label={texts.joblist.filter}
        placeholder={whole.length > 0 ? '' : known.payloads ? texts.joblist.placeholder : texts.joblist.placeholderPlain}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onChange={(event) => {
          const next = typing(chips, event.target.value)
          setChips(next)
          // A word that has just become whole is an answer: the list below is what is wanted then.
          setOpen(next.typed !== '' || next.whole === whole)
        }}
        onKeyDown={press}
      />
      {offered.length > 0 && (
        <ul className="menu suggestions" id={list} role="listbox" aria-label={texts.joblist.suggestions}>
          {offered.map((one, index) => (
            // The pointer must not take the focus from the field.
            <li
              key={one.shown}
              id={`${list}-${index}`}
              role="option"
              aria-selected={index === at}
              className="menu-item"
              data-highlighted={index === at ? '' : undefined}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(one.text)}
            >
              <code>{one.shown}</code>
              <span className="quiet small">{one.hint}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
