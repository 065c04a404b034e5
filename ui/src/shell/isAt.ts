import type { Place } from './places'

/** Whether a page of this place is open. A queue and its jobs belong to the queues. */
export function isAt(place: Place, { pathname, hash }: { pathname: string; hash: string }): boolean {
  if (place.hash === 'queues') return pathname.startsWith('/queues/') || (pathname === '/' && hash === 'queues')
  if (place.to === '/') return pathname === '/' && hash !== 'queues'
  return pathname === place.to || pathname.startsWith(`${place.to}/`)
}
