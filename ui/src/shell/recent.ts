// What was opened with the palette lately, in this browser.

const NAME = 'recent'

export function readRecent(): string[] {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(NAME) ?? '[]')
    return Array.isArray(read) ? read.filter((one) => typeof one === 'string') : []
  } catch {
    return []
  }
}

export function writeRecent(recent: string[]): void {
  localStorage.setItem(NAME, JSON.stringify(recent))
}

/** Who signs out leaves no names behind. */
export function forgetRecent(): void {
  localStorage.removeItem(NAME)
}
