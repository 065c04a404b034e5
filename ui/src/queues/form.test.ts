import { expect, test } from 'vitest'
import { at, formOf, put, startOf, wrongAt } from './form'

const ORDER = {
  $ref: '#/$defs/Order',
  $defs: {
    Order: {
      type: 'object',
      required: ['id', 'kind', 'to', 'items'],
      properties: {
        id: { type: 'string', description: 'whose' },
        kind: { enum: ['card', 'passport'] },
        to: { $ref: '#/$defs/Address' },
        items: { type: 'array', items: { type: 'object', required: ['sku'], properties: { sku: { type: 'string' }, n: { type: 'integer', default: 1 } } } },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null },
        fast: { type: 'boolean', default: false },
        either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
        next: { anyOf: [{ $ref: '#/$defs/Order' }, { type: 'null' }] },
      },
    },
    Address: { type: 'object', required: ['city'], properties: { city: { type: 'string' }, floor: { type: 'number' } } },
  },
}

test('a schema becomes fields, however deep', () => {
  const form = formOf(ORDER)!
  const kinds = Object.fromEntries(form.fields.map((field) => [field.name, field.kind]))
  expect(kinds).toEqual({ id: 'text', kind: 'choice', to: 'object', items: 'list', note: 'text', fast: 'switch', either: 'json', next: 'object' })
  expect(form.fields[0]!.note).toBe('whose')
  expect(form.fields.find((field) => field.name === 'to')!.fields.map((field) => [field.name, field.required])).toEqual([['city', true], ['floor', false]])
  expect(form.fields.find((field) => field.name === 'items')!.item!.fields[1]!.otherwise).toBe(1)
  expect(startOf(form)).toEqual({ id: '', kind: 'card', to: { city: '' }, items: [] })
})

test.each([
  ['nothing', null],
  ['a list', { type: 'array' }],
  ['anything', {}],
  ['a free object', { type: 'object', additionalProperties: { type: 'string' } }],
])('%s is written as JSON', (_, schema) => expect(formOf(schema)).toBeNull())

test('a value is put where its path says, and the rest stays', () => {
  const data = { to: { city: 'Oslo' }, items: [{ sku: 'a' }, { sku: 'b' }] }
  expect(put(data, ['to', 'floor'], 2)).toEqual({ ...data, to: { city: 'Oslo', floor: 2 } })
  expect(put(data, ['items', 1, 'sku'], 'c')).toEqual({ ...data, items: [{ sku: 'a' }, { sku: 'c' }] })
  expect(put(data, ['items', 0], undefined)).toEqual({ ...data, items: [{ sku: 'b' }] })
  expect(put(data, ['to'], undefined)).toEqual({ items: data.items })
  expect(put(null, ['a', 'b'], 1)).toEqual({ a: { b: 1 } })
  expect(at(data, ['items', 1, 'sku'])).toBe('b')
  expect(at(data, ['to', 'x', 'y'])).toBeUndefined()
})

test.each([
  ['Invalid data: Expected `int`, got `str` - at `$.items[0].n`.', 'items.0.n', 'Expected `int`, got `str`'],
  ['Invalid data: Object missing required field `city` - at `$.to`.', 'to.city', 'It is needed.'],
  ['Invalid data: Object contains unknown field `x`.', 'x', 'Object contains unknown field `x`'],
  ['$.userId: Expected `str` of length >= 1', 'userId', 'It is needed.'],
  ['$.to: Object missing required field `city`', 'to.city', 'It is needed.'],
  ['Invalid data: Expected `object`, got `int`.', '', 'Expected `object`, got `int`'],
])('%s', (message, path, says) => expect(wrongAt(message)).toEqual({ path, says }))

test('another refusal has no place in the data', () => expect(wrongAt('Job 7 is not there.')).toBeNull())
