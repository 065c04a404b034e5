// Two builds: the page, and the sign-in page, which is all that is served to who has not signed in.
import react from '@vitejs/plugin-react'
import { join } from 'node:path'
import { defineConfig } from 'vite'
import { first, paintsEarly } from './firstPaint.ts'

const static_ = '../src/corral/dashboard/static'
const server = {
  proxy: { '/api': 'http://127.0.0.1:3002', '/session': 'http://127.0.0.1:3002' },
}

export default defineConfig(({ mode }) =>
  mode === 'signin'
    ? {
        root: 'signin',
        base: '/signin/',
        publicDir: '../public',
        build: { outDir: `../${static_}/signin`, emptyOutDir: true, modulePreload: { polyfill: false } },
        server,
      }
    : {
        plugins: [react(), paintsEarly(import.meta.dirname)],
        publicDir: false,
        build: {
          outDir: static_,
          emptyOutDir: true,
          modulePreload: { polyfill: false },
          rolldownOptions: { output: { codeSplitting: { groups: [{ name: first(join(import.meta.dirname, 'src/main.tsx')) }] } } },
        },
        server,
      },
)
