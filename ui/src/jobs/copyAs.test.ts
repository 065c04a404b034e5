import { expect, test } from 'vitest'
import { copyAs, python } from './copyAs'

const JOB = { queue: 'kyc', name: 'verify', data: { user: "o'neil", ok: true, none: null, list: [1] }, priority: 5 }

test('as a command line, quotes and all', () => {
  expect(copyAs('command line', JOB)).toBe(
    `corral jobs add kyc verify '{"user":"o'\\''neil","ok":true,"none":null,"list":[1]}' --priority 5`,
  )
})

test('as Python', () => {
  expect(copyAs('Python', JOB)).toBe(
    `await Queue("kyc").add("verify", {"user": "o'neil", "ok": True, "none": None, "list": [1]}, priority=5)`,
  )
  expect(python('$(rm -rf /)')).toBe('"$(rm -rf /)"')
})

test('as curl, and nothing in it is run by the shell', () => {
  const text = copyAs('curl', { ...JOB, data: "$(id) `id` '", priority: 0 })
  expect(text).toContain(`--data-raw '{"name":"verify","data":"$(id) \`id\` '\\''"}'`)
})

test('what is hidden is copied as redacted', () => {
  const job = { queue: 'kyc', name: 'verify', data: { pins: [{ '$corral:hidden': true }], user: null }, priority: 0 }
  expect(copyAs('Python', job)).toContain('{"pins": ["[redacted]"], "user": None}')
  expect(copyAs('curl', job)).not.toContain('corral:hidden')
})
