// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { joblist } from './joblist'
import { parts } from './parts'
import { queue } from './queue'

export const texts = { joblist, parts, queue }
