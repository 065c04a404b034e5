// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { alerts } from './alerts'
import { audit, checklist, redis } from './around'
import { dead } from './dead'
import { keys } from './keys'
import { parts } from './parts'
import { shell } from './shell'
import { workers } from './workers'

export const texts = { alerts, audit, checklist, dead, keys, parts, redis, shell, workers }
