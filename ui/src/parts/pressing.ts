/** What a button does and whether it can be pressed. While it works it is not disabled, only said to be: a button
 * that is disabled loses the focus, and whoever works by keyboard is thrown to the top of the page.
 */
export function pressing(busy: boolean, press: () => void) {
  return { 'aria-disabled': busy || undefined, onClick: () => void (busy || press()) }
}
