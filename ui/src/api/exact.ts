// JSON whose whole numbers keep all their digits: ids of 64 bits are common in data, and a double rounds them.

/** What browsers can since 2025; TypeScript does not know it yet. Without it, numbers are rounded as ever. */
const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown }
type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown

/** A whole number that JavaScript has no number for. Written as JSON it is itself again. */
export class Digits {
  constructor(readonly text: string) {}

  toJSON(): unknown {
    return rawJSON!(this.text)
  }
}

/** A whole number that is rounded has so many digits; where there is none, no value has to be looked at. Digits of fractions do not count. */
const LONG = /(?<![\d.])\d{16}/

export function parseJson(text: string): unknown {
  if (!LONG.test(text)) return JSON.parse(text)
  return parse(text, (_, value, context) => (rawJSON && isRounded(value, context?.source) ? new Digits(context!.source!) : value))
}

function isRounded(value: unknown, source: string | undefined): boolean {
  return typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)
}

/** `fetch` for answers that are read so. */
export async function exactFetch(request: Request): Promise<Response> {
  const response = await fetch(request)
  response.json = async () => parseJson(await response.text())
  return response
}
