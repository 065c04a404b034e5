// The one listener for keys, and the registry in which the parts of a page put theirs.
import { useEffect, useRef, useSyncExternalStore } from 'react'
import { readAway } from '../api/away'
import { say } from '../parts/toasting'
import { texts } from '../texts'
import { type Deed, holding, isFree, type Keys, nameOf, type Pending, step } from './keys'

interface Layer {
  current: Keys
}

const layers: Layer[] = []
const listeners = new Set<() => void>()
let shown: ReadonlyMap<string, Deed> = new Map()

function changed() {
  shown = holding(layers.map((layer) => layer.current))
  for (const listener of listeners) listener()
}

/**
 * Keys that hold while this component is there: `useKeys({ r: { says: texts.keys.retry, run: retry } })`.
 * What does not apply at the moment is null. Of two with the same key the one that came last has it.
 */
export function useKeys(keys: Keys): void {
  const layer = useRef(keys)
  layer.current = keys
  const names = Object.entries(keys)
    .map(([name, deed]) => (deed ? `${name} ${deed.says}` : ''))
    .join('\n')
  useEffect(() => {
    layers.push(layer)
    changed()
    return () => {
      layers.splice(layers.indexOf(layer), 1)
      changed()
    }
  }, [])
  useEffect(changed, [names])
}

/** What holds at the moment, for the list of keys. */
export function useHolding(): ReadonlyMap<string, Deed> {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => shown,
  )
}

/** Listens; once, in the shell. */
export function useKeyboard(): void {
  useEffect(() => {
    let pending: Pending | null = null
    const onKey = (event: KeyboardEvent) => {
      const name = nameOf(event)
      const target = event.target instanceof Element ? event.target : document.body
      if (name === null || event.defaultPrevented || !isFree(target, name) || isCovered()) return
      const deeds = holding(layers.map((layer) => layer.current))
      const next = step(pending, name, performance.now(), new Set(deeds.keys()))
      pending = next.pending
      if (next.does === null) return
      event.preventDefault()
      const deed = deeds.get(next.does)
      if (deed?.acts && readAway()) return say(texts.parts.actionsOff)
      deed?.run()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}

/** Something lies over the page and has the keys. */
function isCovered(): boolean {
  return document.querySelector('dialog[open], [role=dialog], [role=menu]') !== null
}
