// The text of a filter as chips, each a word that is whole, and what is still being typed. No I/O.

export interface Chips {
  whole: string[]
  typed: string
}

const WORD = /[\w.-]+:"[^"]*"|\S+/g

/** Every word of a text, as the address has it. */
export function wordsOf(text: string): string[] {
  return text.match(WORD) ?? []
}

/** After typing: a word becomes a chip with the blank behind it. What has no value yet, or an open quote, is not whole. */
export function typing({ whole }: Chips, typed: string): Chips {
  const words = wordsOf(typed)
  const rest = /\s$/.test(typed) ? [] : words.splice(-1)
  const open = words.findIndex((word) => word.endsWith(':') || (word.match(/"/g) ?? []).length % 2 === 1)
  if (open >= 0 || words.length === 0) return { whole, typed }
  return { whole: [...whole, ...words], typed: rest.join('') }
}

/** All that is typed is meant so. */
export function settled({ whole, typed }: Chips): Chips {
  return { whole: [...whole, ...wordsOf(typed)], typed: '' }
}

export function without({ whole, typed }: Chips, at: number): Chips {
  return { whole: whole.filter((_, place) => place !== at), typed }
}

export function textOf({ whole, typed }: Chips): string {
  return [...whole, typed.trim()].filter(Boolean).join(' ')
}
