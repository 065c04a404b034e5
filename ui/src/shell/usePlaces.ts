import { useRouter } from '@tanstack/react-router'
import { PLACES, type Place } from './places'

/** The pages that this build has. */
export function usePlaces(): Place[] {
  const routes: Record<string, unknown> = useRouter().routesByPath
  return PLACES.filter((place) => place.to in routes)
}
