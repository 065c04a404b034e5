// What both versions of the function share: CORS, who is signed in, and answers.

const CORS = {
  "Access-Control-Allow-Origin": Deno.env.get("ALLOWED_ORIGIN") ?? "*",
  "Access-Control-Allow-Headers": "authorization, apikey, content-type, idempotency-key, x-client-info",
  "Access-Control-Allow-Methods": "POST, OPTIONS",
};

export interface Verification {
  documentType: "passport" | "id_card" | "driving_license";
  documentNumber: string;
  frontImageUrl: string;
  backImageUrl?: string;
  provider: "onfido" | "idenfy";
}

export function answer(status: number, body: unknown, retryAfter: string | null = null): Response {
  const headers = new Headers({ ...CORS, "Content-Type": "application/json" });
  if (retryAfter) headers.set("Retry-After", retryAfter);
  return new Response(JSON.stringify(body), { status, headers });
}

/** Answers what is not a signed-in person's POST of a JSON object; hands the rest to `add`. */
export async function serve(
  request: Request,
  add: (userId: string, data: Record<string, unknown>) => Promise<Response>,
): Promise<Response> {
  if (request.method === "OPTIONS") return new Response("ok", { headers: CORS });
  if (request.method !== "POST") return answer(405, { message: "Send a POST." });
  try {
    const userId = await signedIn(request);
    if (userId === null) return answer(401, { message: "Sign in first." });
    const data = await request.json().catch(() => null);
    if (data === null || typeof data !== "object" || Array.isArray(data)) {
      return answer(400, { message: "Send a JSON object." });
    }
    return await add(userId, data);
  } catch (error) {
    console.error("verify-kyc", error instanceof Error ? error.message : error);
    return answer(503, { message: "Try again in a moment." }, "5");
  }
}

/** The id of the person whose token came with the request, or null. */
async function signedIn(request: Request): Promise<string | null> {
  const token = request.headers.get("Authorization");
  if (!token) return null;
  const user = await fetch(`${Deno.env.get("SUPABASE_URL")}/auth/v1/user`, {
    headers: { Authorization: token, apikey: Deno.env.get("SUPABASE_ANON_KEY") ?? "" },
    signal: AbortSignal.timeout(10_000),
  });
  const found = user.ok ? await user.json() : await user.body?.cancel();
  return found?.id ?? null;
}
