import { useSession } from '../api/session'
import { PLACES, type Place } from './places'

/** The pages that this installation has. */
export function usePlaces(): Place[] {
  const sandbox = useSession().data?.sandbox ?? false
  return PLACES.filter((place) => !place.sandbox || sandbox)
}
