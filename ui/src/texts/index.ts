// Every text that the dashboard shows, by where it stands. A sentence with a value in it is a function.
import { charts } from './charts'
import { overview } from './overview'
import { parts } from './parts'
import { trouble } from './trouble'

export const texts = { charts, overview, parts, trouble }
