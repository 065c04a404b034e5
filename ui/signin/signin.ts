import '../src/styles'
import './signin.css'

const form = document.querySelector('form')!
const problem = form.querySelector<HTMLElement>('.problem')!
const button = form.querySelector('button')!

// What the server says about itself on the root element: how one may sign in, and what went wrong on the way back.
const facts = document.documentElement.dataset
if (facts.sso) offer(facts.sso)
if (facts.passwords === 'off') withoutPasswords()
if (facts.problem) {
  show(facts.problem)
  history.replaceState(null, '', '/') // the address had the provider's answer in it, which works once
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const given = new FormData(form)
  button.disabled = true
  problem.hidden = true
  const said = await signIn(String(given.get('user')), String(given.get('password')))
  button.disabled = false
  if (said === null) {
    location.reload() // the same address, now with the page
    return
  }
  show(said)
  form.querySelector<HTMLInputElement>('[name=password]')!.select()
})

/** Null if it worked, else what to say. */
async function signIn(user: string, password: string): Promise<string | null> {
  try {
    const answer = await fetch('/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-corral-dashboard': '1' },
      body: JSON.stringify({ user, password }),
    })
    if (answer.ok) return null
    const { detail } = (await answer.json()) as { detail?: string }
    return detail ?? `The dashboard answered ${answer.status}.`
  } catch {
    return 'The dashboard does not answer. Try again.'
  }
}

function show(said: string): void {
  problem.textContent = said
  problem.hidden = false
}

/** The button that leads to single sign-on, and back to the page that was asked for. */
function offer(name: string): void {
  const link = form.querySelector<HTMLAnchorElement>('.sso')!
  const asked = facts.problem ? '/' : location.pathname + location.search + location.hash
  link.textContent = `Sign in with ${name}`
  link.href = `/oidc/start?to=${encodeURIComponent(asked)}`
  link.hidden = form.querySelector<HTMLElement>('.or')!.hidden = false
}

/** Single sign-on is the only way in: it is the one primary button then. */
function withoutPasswords(): void {
  for (const part of form.querySelectorAll<HTMLElement>('label, button, .or, .hint')) part.hidden = true
  for (const input of form.querySelectorAll('input')) input.disabled = true
  form.querySelector('.sso')!.classList.add('primary')
  document.querySelector('.foot span')!.remove()
}
