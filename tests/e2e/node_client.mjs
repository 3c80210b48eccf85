// A client on Node's own fetch, as the published examples write it: submit and wait, submit and
// poll, a header on an empty GET, a repeat with a slash too many. Prints what it saw as JSON.
const [base, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json; charset=utf-8" };

async function submit(origin, wait) {
  const body = { model: "sim-ok", messages: [{ role: "user", content: "grüß dich 🌍" }], wait };
  const answer = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify({ ...body, idempotency_key: null }),
  });
  return { status: answer.status, body: await answer.json() };
}

async function read(id) {
  const answer = await fetch(`${base}/v1/requests/${id}?wait=20`, { headers });
  return { status: answer.status, body: await answer.json() };
}

const waited = await submit(base, true);
const accepted = await submit(base, false);
const finished = await read(accepted.body.id);
const slashed = await submit(`${base}/`, true);
const unknown = await fetch(`${base}/v1/nothing`, { headers });
const missing = { status: unknown.status, body: await unknown.json() };
console.log(JSON.stringify({ waited, accepted, finished, slashed, missing }));
