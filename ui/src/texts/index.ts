// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { events } from './events'
import { flows } from './flows'
import { outbox } from './outbox'
import { parts } from './parts'
import { schedules } from './schedules'
import { settings } from './settings'

export const texts = { events, flows, outbox, parts, schedules, settings }
