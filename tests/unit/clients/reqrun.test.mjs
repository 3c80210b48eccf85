// The JavaScript client by itself, against a scripted `fetch`; run by test_client_javascript.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { ReqRun, ReqRunError, sign } from "../../../clients/js/reqrun.js";

const API_KEY = "reqrun_live_of_a_test";
const SECRET = "a signing secret";
const HELLO = { model: "m", messages: [{ role: "user", content: "Hello" }] };
const ACCEPTED = { id: "rr_1", object: "chat.completion.async", status: "queued", created: 1 };
const LOST = new TypeError("fetch failed");
const NOW = { "retry-after": "0" };

const said = (status, body, headers = {}) => ({ status, body: JSON.stringify(body), headers });
const no = (status, code, headers) =>
  said(status, { error: { message: "No.", type: "api_error", code } }, headers);
const standing = (status) => said(200, { id: "rr_1", status, result: null }, NOW);

/** A client whose `fetch` plays `outcomes` and keeps what it was given in `seen`. */
function stage(...outcomes) {
  const seen = [];
  async function fetch(url, init) {
    seen.push({ url, ...init });
    const outcome = outcomes.shift();
    if (outcome === LOST) throw LOST;
    return new Response(outcome.body || null, outcome);
  }
  const options = { apiKey: API_KEY, signingSecret: SECRET, baseURL: "https://a.test/" };
  return { seen, client: new ReqRun({ ...options, fetch, retries: { base: 0.001 } }) };
}

test("a repeat carries the same bytes and the same key, signed anew", async () => {
  for (const first of [LOST, no(503, "unavailable"), no(429, "rate_limit_exceeded", NOW)]) {
    const { client, seen } = stage(first, said(200, ACCEPTED));

    assert.deepEqual(await client.chat.completions.create(HELLO), ACCEPTED);

    assert.equal(seen[0].body, seen[1].body);
    assert.match(JSON.parse(seen[0].body).idempotency_key, /^[0-9a-f-]{36}$/);
    assert.notEqual(seen[0].headers["X-ReqRun-Nonce"], seen[1].headers["X-ReqRun-Nonce"]);
    assert.notEqual(seen[0].headers["X-ReqRun-Signature"], seen[1].headers["X-ReqRun-Signature"]);
  }
});

test("what is sent is what was signed", async () => {
  const { client, seen } = stage(said(200, ACCEPTED));
  await client.chat.completions.create({ ...HELLO, idempotency_key: "grüß dich 🌍" });
  const [{ url, method, body, headers }] = seen;

  const expected = await sign({
    method,
    path: new URL(url).pathname,
    body: new TextEncoder().encode(body),
    secret: SECRET,
    timestamp: headers["X-ReqRun-Timestamp"],
    nonce: headers["X-ReqRun-Nonce"],
  });

  assert.equal(url, "https://a.test/v1/chat/completions");
  assert.equal(headers.authorization, `Bearer ${API_KEY}`);
  assert.equal(headers["X-ReqRun-Signature"], expected["X-ReqRun-Signature"]);
  assert.equal(JSON.parse(body).idempotency_key, "grüß dich 🌍");
  assert.equal(JSON.parse(body).wait, false);
});

test("a key without a secret is not signed with", async () => {
  const seen = [];
  const fetch = async (_, { headers }) => (seen.push(headers), new Response("{}"));
  await new ReqRun({ apiKey: API_KEY, fetch }).models.list();

  assert.deepEqual(Object.keys(seen[0]), ["accept", "authorization"]);
});

test("what time does not change is not sent again, and says why", async () => {
  const headers = { "x-request-id": "req_1", "x-reqrun-request-id": "rr_1", "retry-after": "9" };
  for (const [status, code] of [
    [400, "invalid_body"],
    [401, "invalid_signature"],
    [404, "request_not_found"],
    [409, "idempotency_conflict"],
    [429, "monthly_quota_exceeded"],
  ]) {
    const { client, seen } = stage(no(status, code, headers));

    const error = await client.chat.completions.create(HELLO).catch((error) => error);

    assert.ok(error instanceof ReqRunError);
    assert.deepEqual(
      [error.status, error.code, error.type, error.callId, error.requestId, error.retryAfter],
      [status, code, "api_error", "req_1", "rr_1", 9],
    );
    assert.equal(seen.length, 1);
  }
});

test("a reused nonce is answered with a new one", async () => {
  const { client } = stage(no(401, "nonce_reused", NOW), said(200, ACCEPTED));

  assert.deepEqual(await client.chat.completions.create(HELLO), ACCEPTED);
});

test("a request's own end, or too long a pause, is not asked for again", async () => {
  for (const headers of [{ "x-reqrun-status": "failed" }, { "retry-after": "61" }]) {
    const { client, seen } = stage(no(503, "unavailable", headers));

    await assert.rejects(client.chat.completions.create(HELLO), { code: "unavailable" });
    assert.equal(seen.length, 1);
  }
});

test("tries are counted", async () => {
  const { client, seen } = stage(...Array(5).fill(no(503, "unavailable", NOW)));

  await assert.rejects(client.models.list(), { code: "unavailable", status: 503 });
  assert.equal(seen.length, 5);
});

test("a wait outlives an outage and ends with the request", async () => {
  const outage = [LOST, no(503, "unavailable", NOW), no(502, "bad", NOW)];
  const { client, seen } = stage(standing("queued"), ...outage, standing("failed"));

  assert.equal((await client.requests.wait("rr_1", { timeout: 60 })).status, "failed");
  assert.equal(seen[0].url, "https://a.test/v1/requests/rr_1?wait=25.000");
});

test("a wait ends when its time does", async () => {
  const { client } = stage(standing("queued"));
  const last = JSON.parse(standing("queued").body);

  await assert.rejects(client.requests.wait("rr_1", { timeout: 0 }), {
    code: "wait_timed_out",
    requestId: "rr_1",
    last,
  });
});

test("a cancellation whose answer was lost is recognised", async () => {
  const { client } = stage(LOST, no(409, "already_finished"), standing("cancelled"));
  const other = stage(LOST, no(409, "already_finished"), standing("completed")).client;

  assert.equal((await client.requests.cancel("rr_1")).status, "cancelled");
  await assert.rejects(other.requests.cancel("rr_1"), { code: "already_finished" });
});

test("every method asks at its own place", async () => {
  const all = Array.from({ length: 7 }, () => said(200, { object: "list", data: [] }));
  const { client, seen } = stage(...all);
  await client.requests.get("rr_1");
  await client.requests.attempts("rr_1");
  await client.requests.cancel("rr_1");
  await client.requests.retry("rr_1");
  await client.requests.list({ limit: 2, status: "failed", after: undefined });
  await client.models.list();
  await client.requests.erase("rr_1");

  assert.deepEqual(
    seen.map(({ method, url }) => `${method} ${url.slice("https://a.test/v1/".length)}`),
    [
      "GET requests/rr_1",
      "GET requests/rr_1/attempts",
      "POST requests/rr_1/cancel",
      "POST requests/rr_1/retry",
      "GET requests?limit=2&status=failed",
      "GET models",
      "DELETE requests/rr_1",
    ],
  );
});

test("an answer that is not ours is an error of its own", async () => {
  for (const body of ["<html>", "[]", "null", ""]) {
    const { client } = stage({ status: 200, body, headers: {} });
    await assert.rejects(client.models.list(), { code: "unreadable_answer" });
  }
  const { client } = stage({ status: 302, body: "", headers: { location: "https://b.test" } });
  await assert.rejects(client.models.list(), { code: "unreadable_answer", status: 302 });
});

test("an aborted call ends with the caller's reason, during a pause too", async () => {
  const reason = new Error("enough");
  const { client } = stage(no(503, "unavailable", { "retry-after": "30" }));
  const abort = new AbortController();
  const calling = client.models.list({ signal: abort.signal });
  setImmediate(() => abort.abort(reason));

  await assert.rejects(calling, reason);
  await assert.rejects(client.models.list({ signal: AbortSignal.abort(reason) }), reason);
});

test("bad settings and ids are refused at once", () => {
  for (const baseURL of ["https://a.test/v1", "https://me:x@a.test", "ftp://a.test", "a"]) {
    assert.throws(() => new ReqRun({ apiKey: API_KEY, baseURL }), TypeError);
  }
  assert.throws(() => new ReqRun({ apiKey: " " }), /apiKey is empty/);
  assert.throws(() => new ReqRun({ apiKey: API_KEY, signingSecret: "" }), /signingSecret is empty/);
  assert.throws(() => new ReqRun({ apiKey: API_KEY }).requests.get("rr_1/cancel"), TypeError);
});

test("nothing that is printed shows a key", () => {
  const { client } = stage();
  const shown = inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client);

  assert.ok(!shown.includes(API_KEY) && !shown.includes(SECRET));
});
