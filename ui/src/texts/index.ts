// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { charts } from './charts'
import { events } from './events'
import { flows } from './flows'
import { outbox } from './outbox'
import { overview } from './overview'
import { parts } from './parts'
import { schedules } from './schedules'
import { settings } from './settings'
import { trouble } from './trouble'

export const texts = { charts, events, flows, outbox, overview, parts, schedules, settings, trouble }
