import { useEffect, useState } from 'react'

/** The time in epoch seconds, anew each second; still while the page is hidden. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now() / 1000)
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now() / 1000), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
