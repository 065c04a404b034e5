import { expect, test, vi } from 'vitest'
import { pressing } from './pressing'

test('a button that works keeps the focus and is pressed once', () => {
  const press = vi.fn()
  pressing(true, press).onClick()
  expect(press).not.toHaveBeenCalled()
  expect(pressing(true, press)).toMatchObject({ 'aria-disabled': true })
  expect(pressing(false, press)['aria-disabled']).toBeUndefined()
  pressing(false, press).onClick()
  expect(press).toHaveBeenCalledOnce()
})
