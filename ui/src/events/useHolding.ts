import { type PointerEvent, useEffect, useState } from 'react'

/** Pixels from the top at which a reader has left the newest rows. */
const LEFT_TOP = 40

/** Whether somebody reads the rows: the mouse is over them, or they are scrolled. Spread `over` on their element. */
export function useHolding() {
  const [over, setOver] = useState(false)
  const [scrolled, setScrolled] = useState(false)
  useEffect(() => {
    const look = () => setScrolled(scrollY > LEFT_TOP)
    addEventListener('scroll', look, { passive: true })
    return () => removeEventListener('scroll', look)
  }, [])
  const mouse = (is: boolean) => (event: PointerEvent) => event.pointerType === 'mouse' && setOver(is)
  return { reading: over || scrolled, over: { onPointerEnter: mouse(true), onPointerLeave: mouse(false) } }
}
