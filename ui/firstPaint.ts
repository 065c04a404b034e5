// How the built page loads: its outline is painted from the HTML alone, and what the first page needs comes in few files.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IndexHtmlTransformContext, Plugin } from 'vite'

const THEME = /<script src="\/signin\/theme\.js"><\/script>/
const SHEET = /\n?\s*<link rel="stylesheet"[^>]*>/g

/**
 * The script that chooses the theme stands in the page, and the style sheet at its end: neither is waited for before the
 * outline is painted. The server names the hashes of what stands in the page in its Content-Security-Policy.
 */
export function paintsEarly(root: string): Plugin {
  const theme = readFileSync(join(root, 'public/theme.js'), 'utf8')
  return {
    name: 'paints-early',
    apply: 'build',
    transformIndexHtml: { order: 'post', handler: (html: string, _: IndexHtmlTransformContext) => atTheEnd(html.replace(THEME, () => `<script>\n${theme}</script>`)) },
  }
}

function atTheEnd(html: string): string {
  const sheets = html.match(SHEET) ?? []
  return html.replace(SHEET, '').replace('</body>', () => `${sheets.map((sheet) => sheet.trim()).join('\n')}\n</body>`)
}

interface Modules {
  getModuleInfo: (id: string) => { importedIds: readonly string[] } | null
}

/** All that the entry imports, and what that imports: one file instead of a dozen that other pages share. */
export function first(entry: string) {
  let found: Set<string> | null = null
  return (id: string, modules: Modules): string | null => {
    found ??= reached(entry, modules)
    return found.has(id) ? 'first' : null
  }
}

function reached(entry: string, modules: Modules): Set<string> {
  const found = new Set<string>()
  const left = [entry]
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (found.has(id)) continue
    found.add(id)
    left.push(...(modules.getModuleInfo(id)?.importedIds ?? []))
  }
  return found
}
