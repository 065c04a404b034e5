/** What the address may say of a page: this one word. The router reads numbers as such. */
export function only<Name extends string>(name: Name) {
  return (search: Record<string, unknown>): { [key in Name]?: string } => {
    const said = search[name]
    return said === undefined || said === '' ? {} : ({ [name]: String(said) } as { [key in Name]?: string })
  }
}
