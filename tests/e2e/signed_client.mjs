// What test_signed_clients.py watches: a program that uses the client as its guide says.
import { ReqRun } from "../../clients/js/reqrun.js";

const [baseURL, apiKey, signingSecret] = process.argv.slice(2);
const reqrun = new ReqRun({ apiKey, signingSecret, baseURL });
const messages = [{ role: "user", content: "grüß dich 🌍" }];
const create = (params) => reqrun.chat.completions.create({ messages, ...params });
const told = ({ status, code }) => ({ status, code });

const waited = await create({ model: "sim-ok", wait: true });
const slow = { model: "sim-slow-2000ms", idempotency_key: crypto.randomUUID() };
const accepted = await create(slow);
const repeated = (await create(slow)).id;
const finished = await reqrun.requests.wait(accepted.id, { timeout: 60 });
const timeline = await reqrun.requests.attempts(accepted.id);
const hopeless = await create({ model: "sim-timeout" });
const cancelled = (await reqrun.requests.cancel(hopeless.id)).status;
const unsigned = await new ReqRun({ apiKey, baseURL }).requests.list().catch(told);

const attempts = timeline.data.map((attempt) => attempt.status_code);
const seen = { waited, accepted, repeated, finished, attempts, cancelled, unsigned };
console.log(JSON.stringify(seen));
