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

function files(): string[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.tsx') && !file.includes('.test.'))
}

/** Each text that a file spells in its markup. */
function spelled(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(SOURCE, file), 'utf8'), ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX)
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

test.each(files())('%s spells no text itself', (file) => {
  expect(spelled(file)).toEqual([])
})
