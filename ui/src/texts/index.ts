// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { alerts } from './alerts'
import { audit, checklist, redis } from './around'
import { dead } from './dead'
import { events } from './events'
import { flows } from './flows'
import { joblist } from './joblist'
import { keys } from './keys'
import { outbox } from './outbox'
import { parts } from './parts'
import { queue } from './queue'
import { schedules } from './schedules'
import { settings } from './settings'
import { shell } from './shell'
import { workers } from './workers'

export const texts = {
  alerts,
  audit,
  checklist,
  dead,
  events,
  flows,
  joblist,
  keys,
  outbox,
  parts,
  queue,
  redis,
  schedules,
  settings,
  shell,
  workers,
}
