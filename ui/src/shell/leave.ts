import { signOut } from '../api/client'
import { forgetRecent } from './recent'

export function leave(): void {
  forgetRecent()
  void signOut()
}
