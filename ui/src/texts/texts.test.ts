// Texts live in the catalogue: a page that spells one itself cannot be translated or read through in one place.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '..')

/** Attributes that somebody reads or hears. */
const SPOKEN = new Set(['title', 'aria-label', 'placeholder', 'label', 'alt', 'says', 'verb', 'keep', 'data-l', 'name'])
/** Elements whose `name` is not shown. */
const TECHNICAL = new Set(['Icon', 'Glyph', 'input', 'button', 'select', 'textarea', 'meta'])

/** Properties that are shown, in what a page is told to show. */
const SAYING = new Set(['title', 'label', 'says', 'more', 'detail', 'verb', 'keep', 'impact', 'brings', 'first', 'problem', 'who', 'others'])
/** Calls whose texts are looked for, not shown. */
const LOOKING = new Set(['matchMedia', 'querySelector', 'querySelectorAll', 'closest', 'matches', 'startsWith', 'endsWith', 'includes', 'exec', 'test'])
const KEY = /^(Arrow(Up|Down|Left|Right)|Home|End|Enter|Escape|Ctrl|(Mod|Shift)( (.|\{\})?)?)$/
const SELECTOR = /\[\w+(=\w+)?\]/
/** They write code to be pasted, or take it apart. */
const CODE = new Set(['jobs/copyAs.ts', 'jobs/stack.ts'])

function files(end: string): string[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith(end) && !/\.test\.|\.d\.ts$|^texts\//.test(file))
}

function parsed(file: string, text = readFileSync(join(SOURCE, file), 'utf8')): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, file.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS)
}

/** Each text that a file without markup spells: what reads as a sentence, a name with a capital, or stands where a page is told to show it. */
function sentences(source: ts.SourceFile): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    const text = ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) ? node.text : ts.isTemplateExpression(node) ? withHoles(node) : null
    if (text !== null && isShown(node, text, source)) found.push(text)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function withHoles(node: ts.TemplateExpression): string {
  return node.head.text + node.templateSpans.map((span) => `{}${span.literal.text}`).join('')
}

function isShown(node: ts.Node, text: string, source: ts.SourceFile): boolean {
  const { parent } = node
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent) || ts.isLiteralTypeNode(parent)) return false
  if (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.EqualsEqualsEqualsToken) return false
  if (ts.isCallExpression(parent) && LOOKING.has(parent.expression.getText(source).split('.').at(-1)!)) return false
  if (KEY.test(text) || SELECTOR.test(text)) return false
  const property = ts.isPropertyAssignment(parent) ? parent.name.getText(source) : ''
  if (property === 'key') return false
  if (SAYING.has(property) && /\p{L}{2}/u.test(text)) return true
  return /\p{L}{2}[’,.:;]? +(\{\} *)*\p{L}|^\p{Lu}\p{Ll}|\{\}[^/\w]* \p{L}{2}|\p{L}{2}[,.]? \{\}/u.test(text)
}

/** Each text that a file spells in its markup. */
function spelled(file: string): string[] {
  const source = parsed(file)
  const found: string[] = []
  const say = (text: string) => /\p{L}{2}/u.test(text) && found.push(text.trim())
  const literals = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) say(node.text)
    if (ts.isTemplateExpression(node)) for (const part of [node.head, ...node.templateSpans.map((span) => span.literal)]) say(part.text)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node)) say(node.text)
    if (ts.isJsxAttribute(node) && node.initializer) {
      const name = node.name.getText(source)
      const element = node.parent.parent.tagName.getText(source)
      if (SPOKEN.has(name) && !(name === 'name' && TECHNICAL.has(element))) {
        if (ts.isStringLiteral(node.initializer)) say(node.initializer.text)
        else if (ts.isJsxExpression(node.initializer) && node.initializer.expression) shown(node.initializer.expression, literals)
      }
    }
    if (ts.isJsxExpression(node) && node.expression && !ts.isJsxAttribute(node.parent)) shown(node.expression, literals)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** What an expression may come to: both sides of a choice, the right side of `&&` and `??`. */
function shown(expression: ts.Expression, look: (node: ts.Node) => void): void {
  if (ts.isParenthesizedExpression(expression)) shown(expression.expression, look)
  else if (ts.isConditionalExpression(expression)) {
    shown(expression.whenTrue, look)
    shown(expression.whenFalse, look)
  } else if (ts.isBinaryExpression(expression)) {
    if (expression.operatorToken.kind === ts.SyntaxKind.PlusToken) shown(expression.left, look)
    shown(expression.right, look)
  } else look(expression)
}

test.each(files('.tsx'))('%s spells no text itself', (file) => {
  expect(spelled(file)).toEqual([])
})

test.each(files('.ts').filter((file) => !CODE.has(file)))('%s spells no sentence itself', (file) => {
  expect(sentences(parsed(file))).toEqual([])
})

test.each([
  ["return { says: 'held' }", ['held']],
  ["const DID = { retry: 'Retried' }", ['Retried']],
  ['return `in about ${time}`', ['in about {}']],
  ["failed('It was not stopped.', error)", ['It was not stopped.']],
  ['return `${jobs} held`', ['{} held']],
  ["if (name === 'Unrecoverable' || key === 'Enter') api.GET('/api/v1/queues/{queue}')", []],
  ["target.closest('a, button')", []],
])('of %s it finds %j', (code, found) => expect(sentences(parsed('one.ts', code))).toEqual(found))
