// A Supabase edge function that hands a verification to Corral over HTTP and answers at once.
//
//     supabase secrets set CORRAL_URL=https://jobs.example.com CORRAL_KEY=…     (a key with the role enqueue)
//     supabase functions deploy verify-kyc
//
// The person is the one who is signed in, whatever the request says. Sending it again with the same
// Idempotency-Key gives the same job, so an app may repeat a request whose answer it has not seen.

const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, apikey, content-type, idempotency-key, x-client-info",
};

Deno.serve(async (request) => {
  if (request.method === "OPTIONS") return new Response("ok", { headers: CORS });
  if (request.method !== "POST") return answer(405, { message: "Send a POST." });

  const userId = await signedIn(request);
  if (userId === null) return answer(401, { message: "Sign in first." });

  const data = await request.json().catch(() => null);
  if (data === null || typeof data !== "object") return answer(400, { message: "Send a JSON object." });

  const headers = { "Authorization": `Bearer ${Deno.env.get("CORRAL_KEY")}`, "Content-Type": "application/json" };
  const repeat = request.headers.get("Idempotency-Key");
  // With the person in it: nobody gets somebody else's job by guessing a key.
  if (repeat) headers["Idempotency-Key"] = `${userId}:${repeat}`;
  try {
    const added = await fetch(`${Deno.env.get("CORRAL_URL")}/verify-kyc`, {
      method: "POST",
      headers,
      body: JSON.stringify({ ...data, userId }),
      signal: AbortSignal.timeout(10_000),
    });
    if (added.status === 401 || added.status === 403) throw new Error(`Corral refuses the key: ${added.status}`);
    return answer(added.status, await added.json(), added.headers.get("Retry-After"));
  } catch (error) {
    console.error("verify-kyc", error.message);
    return answer(503, { message: "Try again in a moment." }, "5");
  }
});

/** The id of the person whose token came with the request, or null. */
async function signedIn(request) {
  const token = request.headers.get("Authorization");
  if (!token) return null;
  const user = await fetch(`${Deno.env.get("SUPABASE_URL")}/auth/v1/user`, {
    headers: { "Authorization": token, "apikey": Deno.env.get("SUPABASE_ANON_KEY") },
    signal: AbortSignal.timeout(10_000),
  });
  const found = user.ok ? await user.json() : null;
  return found?.id ?? null;
}

function answer(status, body, retryAfter = null) {
  const headers = { ...CORS, "Content-Type": "application/json" };
  if (retryAfter) headers["Retry-After"] = retryAfter;
  return new Response(JSON.stringify(body), { status, headers });
}
