import { type FocusEvent, useRef, useState } from 'react'
import { keepOrder } from './order'

export interface Hold {
  onPointerEnter: () => void
  onPointerLeave: () => void
  onFocus: () => void
  onBlur: (event: FocusEvent) => void
}

/** The items in their order, which stands still while the pointer or the focus is inside of what `hold` is spread on. */
export function useStillOrder<Item>(items: Item[], nameOf: (item: Item) => string) {
  const [pointed, setPointed] = useState(false)
  const [focused, setFocused] = useState(false)
  const order = useRef<string[]>([])
  const shown = pointed || focused ? keepOrder(order.current, items, nameOf) : items
  order.current = shown.map(nameOf)
  const hold: Hold = {
    onPointerEnter: () => setPointed(true),
    onPointerLeave: () => setPointed(false),
    onFocus: () => setFocused(true),
    onBlur: (event: FocusEvent) => setFocused(event.currentTarget.contains(event.relatedTarget)),
  }
  return { shown, hold }
}
