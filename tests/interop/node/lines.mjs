// Talk with the test over JSON lines: commands come in on stdin, answers and events go out on stdout.
// The process ends when stdin closes, so a test that dies leaves nothing behind.
import { createInterface } from 'node:readline';

export function emit(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// ops: { name: async (...args) => value }; a command is {"id": 1, "op": "name", "args": [...]}.
export function serve(ops, close) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { id, op, args } = JSON.parse(line);
    try {
      const value = await ops[op](...args);
      emit({ re: id, value: value ?? null });
    } catch (error) {
      emit({ re: id, error: String(error?.message ?? error) });
    }
  });
  lines.on('close', async () => {
    await close();
    process.exit(0);
  });
  emit({ event: 'ready' });
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
