// Runs an edge function as Deno does, for its tests: `node edge.mjs FUNCTION.mjs`. Says its address when it listens.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

globalThis.Deno = {
  env: { get: (name) => process.env[name] },
  serve: (handle) => {
    const server = createServer(async (incoming, outgoing) => {
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const body = chunks.length ? Buffer.concat(chunks) : undefined;
      const request = new Request(`http://edge${incoming.url}`, { method: incoming.method, headers: incoming.headers, body });
      const response = await handle(request);
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(await response.text());
    });
    server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
  },
};
await import(pathToFileURL(process.argv[2]));
