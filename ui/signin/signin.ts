import '../src/styles'
import './signin.css'

const form = document.querySelector('form')!
const problem = form.querySelector<HTMLElement>('.problem')!
const button = form.querySelector('button')!

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
  problem.textContent = said
  problem.hidden = false
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
