import { useEffect, useRef, useState } from 'react'
import { useOverview } from '../pages/Overview'
import { summary, type Troubles, troublesOf } from './summary'

/** Tells a screen reader when queues come into trouble or out of it. */
export function Announcer() {
  const queues = useOverview(10_000).data?.queues
  const before = useRef<Troubles | null>(null)
  const [says, setSays] = useState('')
  useEffect(() => {
    if (!queues) return
    const now = troublesOf(queues)
    const news = summary(before.current, now)
    before.current = now
    if (news !== null) setSays(news)
  }, [queues])
  return (
    <p className="sr" role="status" data-summary>
      {says}
    </p>
  )
}
