// How queues are grouped here: remembered in this browser, no secret and nobody else's.
import { useState } from 'react'
import type { Choice } from './groups'

const KEY = 'corral.overview.groups'

function read(): Choice {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Choice>
    return {
      delimiter: typeof kept.delimiter === 'string' ? kept.delimiter : null,
      closed: Array.isArray(kept.closed) ? kept.closed.filter((one) => typeof one === 'string') : [],
    }
  } catch {
    return { delimiter: null, closed: [] }
  }
}

export function useGroups() {
  const [choice, setChoice] = useState(read)
  const change = (next: Choice) => {
    setChoice(next)
    try {
      localStorage.setItem(KEY, JSON.stringify(next))
    } catch {
      // Without storage it holds as long as the page.
    }
  }
  return {
    ...choice,
    choose: (delimiter: string) => change({ ...choice, delimiter }),
    turn: (prefix: string) =>
      change({ ...choice, closed: choice.closed.includes(prefix) ? choice.closed.filter((one) => one !== prefix) : [...choice.closed, prefix] }),
  }
}
