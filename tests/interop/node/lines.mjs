// What the scripts of this folder share: JSON lines to and from the test, the BullMQ under test, its connection.
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url); // CommonJS loads in half the time
const nothing = { ops: {}, close: () => undefined };
let serving = nothing;
let version;

export function emit(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// The package that the test asked for.
export function bullmq() {
  return load(version);
}

export function whereBullmqIs() {
  return load.resolve(version);
}

// ops: { name: async (...args) => value }; a command is {"id": 1, "op": "name", "args": [...]}.
export function serve(ops, close) {
  serving = { ops, close };
}

export async function answer({ id, op, args }) {
  try {
    emit({ re: id, value: (await serving.ops[op](...args)) ?? null });
  } catch (error) {
    emit({ re: id, error: String(error?.message ?? error) });
  }
}

export function begin(packageName) {
  version = packageName;
}

export async function end() {
  const { close } = serving;
  serving = nothing;
  await close();
}

export function connection(url) {
  const { hostname, port, username, password } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    username: username || undefined,
    password: password ? decodeURIComponent(password) : undefined,
    maxRetriesPerRequest: null,
  };
}
