import { expect, test } from 'vitest'
import { dataOf, fieldsOf } from './form'

const KYC = {
  $ref: '#/$defs/Kyc',
  $defs: {
    Kyc: {
      type: 'object',
      required: ['userId', 'documentType'],
      properties: {
        userId: { type: 'string', description: 'whose' },
        documentType: { enum: ['passport', 'id_card'] },
        pages: { type: 'integer', default: 1 },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null },
        fast: { type: 'boolean' },
      },
    },
  },
}

test('a flat object becomes fields', () => {
  const fields = fieldsOf(KYC)!
  expect(fields.map((field) => [field.name, field.kind, field.required])).toEqual([
    ['userId', 'text', true], ['documentType', 'choice', true], ['pages', 'number', false], ['note', 'text', false], ['fast', 'switch', false],
  ])
  expect(dataOf(fields, { userId: 'u1', documentType: 'passport', pages: '2', fast: 'true' })).toEqual({
    userId: 'u1', documentType: 'passport', pages: 2, fast: true,
  })
  expect(dataOf(fields, {})).toEqual({ userId: '', documentType: '' })
})

test.each([
  ['nothing', null],
  ['a list', { type: 'array' }],
  ['an object in it', { type: 'object', properties: { address: { type: 'object' } } }],
])('%s is written as JSON', (_, schema) => expect(fieldsOf(schema)).toBeNull())
