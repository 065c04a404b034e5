// The drawn signs: icons of 16 px for places and actions, glyphs of 12 px for states and events.

const icons = {
  overview: <><path d="M2.5 3.5h11M2.5 8h7M2.5 12.5h9"/></>,
  queues: <><path d="M2.5 3h11v3h-11zM2.5 10h11v3h-11z"/></>,
  dead: <><path d="M2.5 9.5 4 3h8l1.5 6.5V13h-11zM2.5 9.5H6l.7 1.5h2.6l.7-1.5h3.5"/></>,
  workers: <><path d="M2.5 13.5v-8M6.17 13.5v-11M9.83 13.5v-8M13.5 13.5v-11M2.5 10h11"/></>,
  clock: <><circle cx="8" cy="8" r="5.5"/><path d="M8 4.8V8l2.2 1.6"/></>,
  flows: <><circle cx="4" cy="8" r="1.75"/><circle cx="12" cy="4" r="1.75"/><circle cx="12" cy="12" r="1.75"/><path d="M5.7 7.3 10.3 4.8M5.7 8.7l4.6 2.5"/></>,
  outbox: <><path d="M2 4h12v8.5H2zM2.2 4.5 8 9l5.8-4.5"/></>,
  alerts: <><path d="M4 11V7.5a4 4 0 0 1 8 0V11l1 1.5H3zM6.75 14.5h2.5"/></>,
  events: <><path d="M1.5 8h3l2-4.5 3 9 2-4.5h3"/></>,
  audit: <><path d="M4 2.5h8v11H4zM6.5 6h3M6.5 8.5h3"/></>,
  redis: <><ellipse cx="8" cy="4.5" rx="5" ry="2"/><path d="M3 4.5v7c0 1.1 2.24 2 5 2s5-.9 5-2v-7M3 8c0 1.1 2.24 2 5 2s5-.9 5-2"/></>,
  settings: <><path d="M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6"/><circle cx="10.25" cy="5" r="1.75"/><circle cx="5.75" cy="11" r="1.75"/></>,
  theme: <><circle cx="8" cy="8" r="5.5"/><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11z" fill="currentColor" stroke="none"/></>,
  help: <><circle cx="8" cy="8" r="5.75"/><path d="M6.4 6.4a1.65 1.65 0 1 1 2.3 1.5c-.5.25-.7.55-.7 1.1M8 11.3v.01"/></>,
  leave: <><path d="M6.5 2.5h-3v11h3M7 8h6.5M11 5.5 13.5 8 11 10.5"/></>,
  search: <><circle cx="7" cy="7" r="4.25"/><path d="m10.2 10.2 3.3 3.3"/></>,
  play: <><path d="M5 3.2v9.6L12.5 8z"/></>,
  retry: <><path d="M13 8a5 5 0 1 1-1.6-3.65M13 2.5v2.7h-2.7"/></>,
  more: <><path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.25"/></>,
  pause: <><path d="M5.5 3.5v9M10.5 3.5v9"/></>,
  menu: <><path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/></>,
  add: <><path d="M8 3.5v9M3.5 8h9"/></>,
  down: <><path d="m4.5 6.5 3.5 3.5 3.5-3.5"/></>,
  close: <><path d="m4 4 8 8M12 4l-8 8"/></>,
  edit: <><path d="m3 13 .6-2.6 7-7 2 2-7 7zM9.3 4.7l2 2"/></>,
  copy: <><path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3"/></>,
  stop: <><path d="M4 4h8v8H4z"/></>,
  held: <><path d="M3.5 2.5v11M12.5 2.5v11M3.5 6h9M3.5 10h9"/></>,
} as const

const glyphs = {
  mail: <><path d="M1.5 3h9v6.5h-9zM1.7 3.3 6 6.6l4.3-3.3"/></>,
  held: <><path d="M2.5 1.5v9M9.5 1.5v9M2.5 4.25h7M2.5 7.75h7" strokeWidth="1.6"/></>,
  limited: <><path d="M2.5 1.5h7M2.5 10.5h7M3.2 1.5c0 3 2.8 3 2.8 4.5s-2.8 1.5-2.8 4.5M8.8 1.5C8.8 4.5 6 4.5 6 6s2.8 1.5 2.8 4.5"/></>,
  calm: <><circle cx="6" cy="6" r="2.25" fill="currentColor" stroke="none"/></>,
  deploy: <><path d="M6 1.5 10.5 6 6 10.5 1.5 6z"/></>,
  key: <><circle cx="3.5" cy="6" r="2"/><path d="M5.5 6h5.5v2M8.7 6v1.5"/></>,
  scaled: <><path d="M2.5 9.5 9.5 2.5M5.5 2.5h4v4"/></>,
  delayed: <><circle cx="6" cy="6" r="4.5"/><path d="M6 3.5V6l1.7 1.2"/></>,
  alert: <><path d="M3 8.3V5.5a3 3 0 0 1 6 0v2.8l.8 1H2.2zM5.2 10.9h1.6"/></>,
  completed: <><path d="m2 6.4 2.7 2.7L10 3.3" strokeWidth="1.75"/></>,
  waiting: <><circle cx="6" cy="6" r="4"/></>,
  active: <><path d="M3.2 1.8v8.4L10.2 6z" fill="currentColor" strokeLinejoin="round"/></>,
  children: <><path d="M2.5 11V1.5h6.5L7.5 4 9 6.5H2.5"/></>,
  failed: <><path d="m2.5 2.5 7 7M9.5 2.5l-7 7" strokeWidth="1.9"/></>,
  paused: <><path d="M4 2.5v7M8 2.5v7" strokeWidth="2"/></>,
  plus: <><path d="M6 2v8M2 6h8"/></>,
  next: <><circle cx="6" cy="6" r="4.5" strokeDasharray="2 2"/></>,
  lock: <><path d="M2.5 5.5h7v5h-7zM4 5.5V4a2 2 0 0 1 4 0v1.5"/></>,
} as const

export type IconName = keyof typeof icons
export type GlyphName = keyof typeof glyphs

/** Decoration: the word beside it says what it means. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      {icons[name]}
    </svg>
  )
}

export function Glyph({ name, className = '' }: { name: GlyphName; className?: string }) {
  return (
    <svg className={`glyph ${className}`} viewBox="0 0 12 12" aria-hidden="true">
      {glyphs[name]}
    </svg>
  )
}
