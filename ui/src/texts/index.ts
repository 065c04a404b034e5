// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { alerts } from './alerts'
import { checklist, redis } from './around'
import { audit } from './audit'
import { charts } from './charts'
import { dead } from './dead'
import { events } from './events'
import { flows } from './flows'
import { job } from './job'
import { joblist } from './joblist'
import { keys } from './keys'
import { outbox } from './outbox'
import { overview } from './overview'
import { parts } from './parts'
import { providers } from './providers'
import { queue } from './queue'
import { schedules } from './schedules'
import { settings } from './settings'
import { shell } from './shell'
import { trouble } from './trouble'
import { why } from './why'
import { workers } from './workers'

export const texts = {
  alerts,
  audit,
  charts,
  checklist,
  dead,
  events,
  flows,
  job,
  joblist,
  keys,
  outbox,
  overview,
  parts,
  providers,
  queue,
  redis,
  schedules,
  settings,
  shell,
  trouble,
  why,
  workers,
}
