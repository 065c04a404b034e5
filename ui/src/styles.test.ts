// A class that no page uses is a rule that nobody dares to change.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const UI = join(import.meta.dirname, '..')

/** Classes that a library puts into the page: uPlot's. */
const FOREIGN = /^(uplot|u-)/

function files(end: RegExp): string[] {
  const found = ['src', 'signin'].flatMap((folder) =>
    readdirSync(join(UI, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  )
  return found.filter((file) => end.test(file) && !/\.test\.|\.d\.ts$|^src.texts/.test(file))
}

const read = (file: string) => readFileSync(join(UI, file), 'utf8')

/** The classes that a sheet has rules for. */
function styled(sheet: string): string[] {
  const selectors = sheet
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/"[^"]*"|'[^']*'|url\([^)]*\)/g, '')
    .match(/[^{};]+(?=\{)/g)
  return [...new Set((selectors ?? []).flatMap((selector) => [...selector.matchAll(/\.(-?[a-z_][\w-]*)/gi)].map((found) => found[1]!)))]
}

/** Words that stand in texts of the code, and the beginnings of those that are put together: `is-` of `is-${tone}`. */
function wordsOf(file: string): { words: Set<string>; starts: Set<string> } {
  const [words, starts] = [new Set<string>(), new Set<string>()]
  const take = (text: string) => text.split(/[\s.]+/).forEach((word) => word && words.add(word))
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) take(node.text)
    if (ts.isTemplateExpression(node)) {
      for (const part of [node.head, ...node.templateSpans.map((span) => span.literal)]) {
        take(part.text)
        const start = /[\w-]+-$/.exec(part.text)
        if (start) starts.add(start[0])
      }
    }
    ts.forEachChild(node, visit)
  }
  if (file.endsWith('.html')) for (const found of read(file).matchAll(/class="([^"]*)"/g)) take(found[1]!)
  else visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true, file.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS))
  return { words, starts }
}

const used = files(/\.(tsx?|html)$/).map(wordsOf)

function isUsed(name: string): boolean {
  return FOREIGN.test(name) || used.some(({ words, starts }) => words.has(name) || [...starts].some((start) => name.startsWith(start)))
}

test.each(files(/\.css$/))('a page uses every class of %s', (file) => {
  expect(styled(read(file)).filter((name) => !isUsed(name))).toEqual([])
})

test('what a sheet styles', () => {
  expect(styled('/* .no */ .a:is(.b, .c-d) > i::before { content: ".x"; margin: .5em } @media (x) { .e.f { x: y } }')).toEqual(['a', 'b', 'c-d', 'e', 'f'])
})
