// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { events } from './events'
import { flows } from './flows'
import { job } from './job'
import { outbox } from './outbox'
import { parts } from './parts'
import { schedules } from './schedules'
import { settings } from './settings'

export const texts = { events, flows, job, outbox, parts, schedules, settings }
