// A Supabase edge function that hands a verification to Corral over HTTP and answers at once.
//
//     supabase secrets set CORRAL_URL=https://jobs.example.com CORRAL_KEY=…     (a key with the role enqueue)
//     supabase functions deploy verify-kyc
//
// The person is the one who is signed in, whatever the request says. Sending it again with the same
// Idempotency-Key gives the same job, so an app may repeat a request whose answer it has not seen.
// Corral checks the data: what is wrong comes back as 422 with the path of the field.

import { answer, serve } from "../_shared/http.ts";

Deno.serve((request) =>
  serve(request, async (userId, data) => {
    const headers = new Headers({
      "Authorization": `Bearer ${Deno.env.get("CORRAL_KEY")}`,
      "Content-Type": "application/json",
    });
    const repeat = request.headers.get("Idempotency-Key");
    // With the person in it: nobody gets somebody else's job by guessing a key.
    if (repeat) headers.set("Idempotency-Key", `${userId}:${repeat}`);
    const added = await fetch(`${Deno.env.get("CORRAL_URL")}/verify-kyc`, {
      method: "POST",
      headers,
      body: JSON.stringify({ ...data, userId }),
      signal: AbortSignal.timeout(10_000),
    });
    if (added.status === 401 || added.status === 403) throw new Error(`Corral refuses the key: ${added.status}`);
    return answer(added.status, await added.json(), added.headers.get("Retry-After"));
  })
);
