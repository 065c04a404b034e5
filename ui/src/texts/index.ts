// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { dead } from './dead'
import { parts } from './parts'

export const texts = { dead, parts }
