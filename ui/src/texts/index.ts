// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { keys } from './keys'
import { parts } from './parts'
import { shell } from './shell'

export const texts = { keys, parts, shell }
