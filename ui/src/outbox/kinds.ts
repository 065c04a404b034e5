// How kinds of entries are drawn: glyphs that the states of jobs have, as these are none.
import type { GlyphName } from '../parts/Icon'

const GLYPHS: Record<string, GlyphName> = { mail: 'mail', push: 'alert', sms: 'active', webhook: 'scaled', check: 'key', image: 'waiting', row: 'plus' }

export const glyphOf = (kind: string): GlyphName => GLYPHS[kind] ?? 'calm'
