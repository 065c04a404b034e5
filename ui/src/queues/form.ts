// A form from a JSON schema. What it cannot draw (unions, free objects) is a field for JSON.
import { texts } from '../texts'

export type Schema = Record<string, unknown>

export interface Field {
  name: string
  kind: 'text' | 'number' | 'switch' | 'choice' | 'object' | 'list' | 'json'
  required: boolean
  /** It may be null, or left out. */
  choices: unknown[]
  note: string
  /** Of an object. */
  fields: Field[]
  /** Of a list. */
  item: Field | null
  /** What it is without being given. */
  otherwise: unknown
}

/** Fields inside fields, so deep; a schema may contain itself. */
const DEEPEST = 6

/** The data as a field without a name; null: its shape is not known, so only JSON will do. */
export function formOf(schema: Schema | null): Field | null {
  if (!schema) return null
  const top = fieldOf('', schema, schema, true, 0)
  return top.kind === 'object' && top.fields.length > 0 ? top : null
}

function fieldOf(name: string, asked: Schema, schema: Schema, required: boolean, depth: number): Field {
  const part = plain(resolve(asked, schema), schema)
  const note = part['description'] ?? asked['description']
  const field: Field = {
    name, required, kind: 'json', choices: [], fields: [], item: null,
    note: typeof note === 'string' ? note : '', otherwise: asked['default'] ?? part['default'],
  }
  const listed = (part['enum'] as unknown[] | undefined) ?? ('const' in part ? [part['const']] : undefined)
  if (listed?.every((value) => typeof value !== 'object')) return { ...field, kind: 'choice', choices: listed }
  switch (part['type']) {
    case 'string':
      return { ...field, kind: 'text' }
    case 'integer':
    case 'number':
      return { ...field, kind: 'number' }
    case 'boolean':
      return { ...field, kind: 'switch' }
    case 'array': {
      const items = part['items'] as Schema | undefined
      if (!items || typeof items !== 'object' || depth >= DEEPEST) return field
      return { ...field, kind: 'list', item: fieldOf('', items, schema, true, depth + 1) }
    }
    case 'object': {
      const properties = part['properties'] as Record<string, Schema> | undefined
      if (!properties || depth >= DEEPEST) return field
      const needed = (part['required'] as string[] | undefined) ?? []
      const fields = Object.entries(properties).map(([key, one]) => fieldOf(key, one, schema, needed.includes(key), depth + 1))
      return { ...field, kind: 'object', fields }
    }
    default:
      return field
  }
}

function resolve(part: Schema, schema: Schema): Schema {
  const ref = part['$ref'] as string | undefined
  if (!ref?.startsWith('#/')) return part
  const found = ref.slice(2).split('/').reduce<unknown>((at, step) => (at as Schema | undefined)?.[step], schema)
  return (found as Schema | undefined) ?? part
}

/** What may also be null is left out where it is. */
function plain(part: Schema, schema: Schema): Schema {
  const options = (part['anyOf'] ?? part['oneOf']) as Schema[] | undefined
  const real = options?.filter((option) => option['type'] !== 'null')
  return real?.length === 1 ? { ...part, ...resolve(real[0]!, schema) } : part
}

/** The data that a form begins with: what must be there, as empty as it may be. */
export function startOf(field: Field): unknown {
  switch (field.kind) {
    case 'object':
      return Object.fromEntries(field.fields.filter((one) => one.required).map((one) => [one.name, startOf(one)]))
    case 'list':
      return []
    case 'choice':
      return field.choices[0]
    case 'switch':
      return false
    case 'number':
      return 0
    case 'json':
      return null
    default:
      return ''
  }
}

export type Path = readonly (string | number)[]

export function at(data: unknown, path: Path): unknown {
  return path.reduce<unknown>((here, step) => (here === null || typeof here !== 'object' ? undefined : (here as Record<string | number, unknown>)[step]), data)
}

/** The data with another value at a path; undefined takes it away. */
export function put(data: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  if (typeof step === 'number') {
    const list = Array.isArray(data) ? [...(data as unknown[])] : []
    if (rest.length === 0 && value === undefined) list.splice(step, 1)
    else list[step] = put(list[step], rest, value)
    return list
  }
  const { [step]: before, ...others } = (data !== null && typeof data === 'object' && !Array.isArray(data) ? data : {}) as Record<string, unknown>
  const next = put(before, rest, value)
  return next === undefined ? others : { ...(data as object), [step]: next }
}

/** Where the server says that the data is wrong, and what it says; where it names no place: at the top. */
export function wrongAt(message: string): { path: string; says: string } | null {
  const named = /^\$([^:\s]*): (.*?)\.?$/s.exec(message)
  const said = named?.[2] ?? /^Invalid data: (.*?)\.?$/s.exec(message)?.[1]
  if (said === undefined) return null
  const placed = /^(.*?) - at `\$([^`]*)`$/s.exec(said)
  const inside = pathText(named?.[1] ?? placed?.[2] ?? '')
  const says = placed?.[1] ?? said
  const missing = /(?:missing required field|contains unknown field) `([^`]+)`/.exec(says)?.[1]
  const empty = missing !== undefined ? says.startsWith('Object missing') : / of length >= 1$/.test(says)
  return { path: missing ? [inside, missing].filter(Boolean).join('.') : inside, says: empty ? texts.queue.needed : says }
}

/** `.a.b[0].c` as a.b.0.c */
const pathText = (raw: string): string => raw.replaceAll('[', '.').replaceAll(']', '').replace(/^\./, '')
