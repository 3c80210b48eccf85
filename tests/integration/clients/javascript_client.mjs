// What test_javascript_client.py watches: a program that uses the client as its guide says.
import { ReqRun } from "../../../clients/js/reqrun.js";

const [baseURL, apiKey, signingSecret] = process.argv.slice(2);
const reqrun = new ReqRun({ apiKey, signingSecret, baseURL, retries: { base: 0.001 } });

const created = await reqrun.chat.completions.create({
  model: "sim-ok",
  messages: [{ role: "user", content: "grüß dich 🌍" }],
  wait: true,
});
const finished = await reqrun.requests.wait("rr_1");
const missing = await reqrun.requests
  .get("rr_2")
  .catch(({ status, code, callId }) => ({ status, code, callId }));
await reqrun.requests.erase("rr_1");
console.log(JSON.stringify({ created, finished, missing }));
