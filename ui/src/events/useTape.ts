import { useCallback, useEffect, useRef, useState } from 'react'
import { ProblemError, readSession } from '../api/client'
import { answered, api } from '../api/client'
import type { Freshness } from '../parts/Staleness'
import { texts } from '../texts'
import { type Filter, parse, query } from './filter'
import { append, type Batch, EMPTY, release, rowsOf, type Tape, take } from './tape'

/** Milliseconds before a stream is opened anew that the browser gave up. */
const AGAIN_MS = 3_000

const PAGE = 200

export interface Past {
  /** Where older ones go on; null: there are none. */
  before: string | null
  searched: number
  queues: number
  queuesInAll: number
}

interface Trouble {
  error: Error
  at: number
}

/** The events of a filter: those that Redis has, then what comes. `held`: new ones wait aside. */
export function useTape(text: string, held: boolean) {
  const [tape, setTape] = useState<Tape>(EMPTY)
  const [past, setPast] = useState<Past | null>(null)
  const [trouble, setTrouble] = useState<Trouble | null>(null)
  const [heardAt, setHeardAt] = useState(0)
  const [round, setRound] = useState(0)
  const holding = useRef(held)
  useEffect(() => {
    holding.current = held
    if (!held) setTape(release)
  }, [held])

  useEffect(() => {
    const { filter } = parse(text)
    let stream: EventSource | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    let over = false
    let place = ''
    const fail = (error: Error) => {
      if (over) return
      setTrouble((was) => ({ error, at: was?.at ?? Date.now() }))
      timer = setTimeout(() => (place ? listen() : begin()), AGAIN_MS)
    }
    const listen = () => {
      stream = new EventSource(`/api/v1/events?${query(filter, place)}`)
      stream.addEventListener('batch', (message) => {
        const batch = JSON.parse(message.data) as Batch
        place = message.lastEventId || place
        setHeardAt(Date.now())
        setTrouble((was) => (batch.away ? { error: new ProblemError(503, ''), at: was?.at ?? Date.now() } : null))
        setTape((tape) => take(tape, batch, holding.current))
      })
      stream.addEventListener('error', () => {
        const broken = new ProblemError(0, texts.events.broken)
        if (stream?.readyState !== EventSource.CLOSED) {
          setTrouble((was) => was ?? { error: broken, at: Date.now() })
          return // the browser comes back by itself
        }
        // A session that is over brings the sign-in page.
        readSession().then(() => fail(broken), fail)
      })
    }
    const begin = () => {
      recent(filter).then((page) => {
        if (over) return
        place = page.after ?? ''
        setPast(pastOf(page))
        setHeardAt(Date.now())
        setTrouble(null)
        setTape({ ...EMPTY, rows: rowsOf(page.events) })
        listen()
      }, fail)
    }
    setTape(EMPTY)
    setPast(null)
    begin()
    return () => {
      over = true
      clearTimeout(timer)
      stream?.close()
    }
  }, [text, round])

  const older = useCallback(async () => {
    if (!past?.before) return
    const page = await recent(parse(text).filter, past.before)
    setTape((tape) => append(tape, page.events))
    setPast((was) => was && { ...was, before: page.before, searched: was.searched + page.searched })
  }, [text, past])

  const freshness: Freshness = {
    isError: trouble !== null,
    error: trouble?.error ?? null,
    dataUpdatedAt: heardAt,
    errorUpdatedAt: trouble?.at ?? 0,
    refetch: () => setRound((round) => round + 1),
  }
  return { tape, past, freshness, older }
}

type Page = Awaited<ReturnType<typeof recent>>

function recent({ queues, kinds, name, id }: Filter, before?: string) {
  return answered(
    api.GET('/api/v1/events/recent', {
      params: { query: { queue: queues.length ? queues : null, kind: kinds.length ? kinds : null, name, id, before, count: PAGE } },
    }),
  )
}

function pastOf(page: Page): Past {
  return { before: page.before, searched: page.searched, queues: page.queues.length, queuesInAll: page.queuesInAll }
}
