import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BUILT_IN } from './builtIn'

test('the built-in queues are those of the package', () => {
  const source = readFileSync(join(import.meta.dirname, '../../../src/corral/queues/__init__.py'), 'utf8')
  const modules = /_MODULES = \{(.*?)\}/s.exec(source)![1]!
  expect([...modules.matchAll(/"([^"]+)": "corral/g)].map((found) => found[1])).toEqual(BUILT_IN)
})
