// What is typed into the filter of the event stream, as what the server is asked for.
//
//   queue:email  kind:failed,stalled  name:verify  184

export interface Filter {
  queues: string[]
  kinds: string[]
  name?: string
  id?: string
}

export interface Parsed {
  filter: Filter
  /** Words that could not be understood, as they were typed. */
  wrong: string[]
}

const WORD = /([\w.-]+):(?:"([^"]*)"|(\S*))|(\S+)/g

export function parse(text: string): Parsed {
  const filter: Filter = { queues: [], kinds: [] }
  const wrong: string[] = []
  for (const [word, key, quoted, plain, bare] of text.matchAll(WORD)) {
    const value = quoted ?? plain ?? ''
    if (bare !== undefined) filter.id = bare
    else if (value === '') continue // still being typed
    else if (key === 'queue') filter.queues.push(...list(value, quoted))
    else if (key === 'kind') filter.kinds.push(...list(value, quoted))
    else if (key === 'name' || key === 'id') filter[key] = value
    else wrong.push(word)
  }
  return { filter, wrong }
}

function list(value: string, quoted: string | undefined): string[] {
  return quoted !== undefined ? [value] : value.split(',').filter(Boolean)
}

/** The text of a filter: what `parse` reads as the same. */
export function write({ queues, kinds, name, id }: Filter): string {
  return [
    ...queues.map((queue) => `queue:${quote(queue)}`),
    ...(kinds.length ? [`kind:${kinds.join(',')}`] : []),
    ...(name === undefined ? [] : [`name:${quote(name)}`]),
    ...(id === undefined ? [] : [/[:"\s]/.test(id) ? `id:${quote(id)}` : id]),
  ].join(' ')
}

function quote(text: string): string {
  return /[\s,"]/.test(text) ? `"${text}"` : text
}

/** As the parameters of the server's address; `after`: where the live stream begins. */
export function query({ queues, kinds, name, id }: Filter, after?: string): URLSearchParams {
  const asked = new URLSearchParams()
  for (const queue of queues) asked.append('queue', queue)
  for (const kind of kinds) asked.append('kind', kind)
  if (name !== undefined) asked.set('name', name)
  if (id !== undefined) asked.set('id', id)
  if (after) asked.set('after', after)
  return asked
}
