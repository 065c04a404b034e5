// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { flows } from './flows'
import { job } from './job'
import { outbox } from './outbox'
import { parts } from './parts'

export const texts = { flows, job, outbox, parts }
