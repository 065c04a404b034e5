// A form from a JSON schema, for data that is a flat object; what is deeper is written as JSON.

export type Schema = Record<string, unknown>

export interface Field {
  name: string
  kind: 'text' | 'number' | 'switch' | 'choice'
  required: boolean
  choices: string[]
  note: string
}

/** The fields of the data; null: it is no flat object, so only JSON will do. */
export function fieldsOf(schema: Schema | null): Field[] | null {
  const top = schema && resolve(schema, schema)
  const properties = top?.['properties'] as Record<string, Schema> | undefined
  if (!top || !properties) return null
  const required = (top['required'] as string[] | undefined) ?? []
  const fields = Object.entries(properties).map(([name, property]) => field(name, plain(resolve(property, schema), schema), required.includes(name)))
  return fields.every((one) => one !== null) ? fields : null
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

function field(name: string, part: Schema, required: boolean): Field | null {
  const note = typeof part['description'] === 'string' ? part['description'] : ''
  const base = { name, required, note, choices: [] as string[] }
  const listed = part['enum'] as unknown[] | undefined
  if (listed?.every((value) => typeof value === 'string')) return { ...base, kind: 'choice', choices: listed as string[] }
  switch (part['type']) {
    case 'string':
      return { ...base, kind: 'text' }
    case 'integer':
    case 'number':
      return { ...base, kind: 'number' }
    case 'boolean':
      return { ...base, kind: 'switch' }
    default:
      return null
  }
}

/** What the fields say, as data; those that are empty and not required are left out. */
export function dataOf(fields: Field[], texts: Record<string, string>): Record<string, unknown> {
  const data: Record<string, unknown> = {}
  for (const { name, kind, required } of fields) {
    const text = texts[name] ?? ''
    if (text === '' && !required) continue
    data[name] = kind === 'number' ? Number(text) : kind === 'switch' ? text === 'true' : text
  }
  return data
}
