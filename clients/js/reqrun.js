/**
 * The client of ReqRun, in one module: Web Crypto and `fetch`, nothing else. Times are in seconds.
 * The types are in reqrun.d.ts.
 */

/** @typedef {import("./reqrun.d.ts").ReqRun} Surface */
/** @typedef {import("./reqrun.d.ts").ReqRunOptions} Options */
/** @typedef {import("./reqrun.d.ts").CallOptions & { timeout?: number }} CallOptions */
/** @typedef {{ status: number, headers: Headers, body: string }} Answer */
/** @typedef {{ error: unknown }} Lost No answer: the call may have had its effect, or not. */
/**
 * One HTTP call, signed each time it is sent. `seconds`: how long the server may stay silent.
 * @typedef {{ method: string, path: string, query?: string, body?: string, seconds: number }} Call
 */

const BASE_URL = "https://api.reqrun.com";
const SUBMIT_PATH = "/v1/chat/completions";
/** How long the server may stay silent beyond the wait that it was asked for. */
const SECONDS = 30;
/** How long the server waits when it is asked to and not told how long. */
const DEFAULT_WAIT = 25;
/** How long one look of `wait` stays open: under what proxies commonly allow. */
const POLL_SECONDS = 25;
/** Between two looks, where a server answers at once instead of waiting. */
const LEAST_SECONDS = 1;
const RETRIES = { count: 4, base: 0.5, cap: 8, longest: 60 };
const FINAL = new Set(["completed", "failed", "cancelled"]);
const PASSING = new Set([408, 429, 500, 502, 503, 504]);
/** A reused nonce means that something on the way sent the call twice: signed anew, it passes. */
const ALWAYS_PASSING = new Set(["nonce_reused", "request_timeout"]);
const NEVER_PASSING = new Set(["monthly_quota_exceeded"]);

const utf8 = new TextEncoder();

/**
 * The three headers that sign a call; `path` is what follows the host, without the query.
 * @param {import("./reqrun.d.ts").SignInput} input
 * @returns {Promise<import("./reqrun.d.ts").SignedHeaders>}
 */
export async function sign({ method, path, body = "", secret, timestamp, nonce }) {
  const moment = timestamp ?? new Date().toISOString();
  const once = nonce ?? crypto.randomUUID().replaceAll("-", "");
  const bytes = typeof body === "string" ? utf8.encode(body) : body;
  const digest = hex(await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)));
  const text = [method.toUpperCase(), path, moment, once, digest].join("\n");
  const key = await hmacKey(secret);
  const signature = hex(await crypto.subtle.sign("HMAC", key, utf8.encode(text)));
  return {
    "X-ReqRun-Timestamp": moment,
    "X-ReqRun-Nonce": once,
    "X-ReqRun-Signature": `v1=${signature}`,
  };
}

/** A call was refused or failed; match on `code`, the text is for people. */
export class ReqRunError extends Error {
  /**
   * @param {string} message
   * @param {string} code
   * @param {Answer} [answer] what the other facts are read from
   * @param {ErrorOptions} [options]
   */
  constructor(message, code, answer, options) {
    super(message, options);
    this.name = "ReqRunError";
    this.code = code;
    this.status = answer?.status ?? null;
    this.type = answer ? (told(answer).type ?? "") : "";
    this.callId = answer?.headers.get("x-request-id") ?? null;
    this.requestId = answer?.headers.get("x-reqrun-request-id") ?? null;
    this.retryAfter = answer ? secondsOf(answer.headers.get("retry-after")) : null;
  }
}

/** Results are plain objects, as they came over the wire. */
export class ReqRun {
  /** @param {Options} options */
  constructor(options) {
    const caller = new Caller(options);
    /** @type {(method: string, path: string, of?: CallOptions, fields?: object) => Promise<any>} */
    const ask = (method, path, options, fields) =>
      caller.object({ method, path, body: JSON.stringify(fields), seconds: SECONDS }, options);

    /** @type {Surface["chat"]} */
    this.chat = {
      completions: {
        create: (params, options) => caller.object(submission(params, options), options),
      },
    };
    /** @type {Surface["requests"]} */
    this.requests = {
      get: (id, options) => caller.object(look(id, options?.wait ?? 0), options),
      wait: (id, options) => wait(caller, id, options),
      list: (params, options) => caller.object(page(params ?? {}), options),
      attempts: (id, options) => ask("GET", pathOf(id, "/attempts"), options),
      cancel: (id, options) => cancel(caller, id, options),
      retry: (id, options) => ask("POST", pathOf(id, "/retry"), options, { wait: false }),
      erase: (id, options) => ask("DELETE", pathOf(id), options),
    };
    /** @type {Surface["models"]} */
    this.models = { list: (options) => ask("GET", "/v1/models", options) };
  }
}

/** Who calls, and where. The keys are private: no console and no JSON shows them. */
class Caller {
  #apiKey;
  #secret;
  #origin;
  #fetch;

  /** @param {Options} options */
  constructor({ apiKey, signingSecret, baseURL, fetch, retries }) {
    this.#apiKey = needed(apiKey, "apiKey");
    this.#secret = signingSecret == null ? null : needed(signingSecret, "signingSecret");
    this.#origin = origin(baseURL ?? BASE_URL);
    // Never called as a method of anything: browsers and Workers refuse that.
    const own = fetch ?? globalThis.fetch;
    this.#fetch = (/** @type {string} */ url, /** @type {RequestInit} */ init) => own(url, init);
    /** Its meaning is in reqrun.d.ts. */
    this.retries = { ...RETRIES, ...retries };
  }

  /** The JSON object in a 2xx. @type {(...of: Parameters<Caller["answer"]>) => Promise<any>} */
  async object(call, options, tries) {
    return decoded(await this.answer(call, options, tries));
  }

  /**
   * A 2xx; what is worth it is sent again. `tries`: every call that was sent goes there.
   * @param {Call} call @param {CallOptions} [options] @param {Call[]} [tries]
   * @returns {Promise<Answer>}
   */
  async answer(call, options = {}, tries = []) {
    for (;;) {
      const outcome = await this.send(call, options.signal);
      const pause = pauseAfter(outcome, tries.length, this.retries);
      tries.push(call);
      if (pause === null || pause > this.retries.longest || tries.length > this.retries.count) {
        return succeeded(outcome);
      }
      await sleep(pause, options.signal);
    }
  }

  /**
   * One try, signed now.
   * @param {Call} call @param {AbortSignal} [signal]
   * @returns {Promise<Answer | Lost>}
   */
  async send(call, signal) {
    const headers = await this.#headers(call);
    const limit = new AbortController();
    const abort = () => limit.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    const timer = setTimeout(() => limit.abort(), call.seconds * 1000);
    try {
      const { method, path, query, body } = call;
      const url = this.#origin + path + (query ? `?${query}` : "");
      const how = { method, body, headers, signal: limit.signal };
      const got = await this.#fetch(url, { ...how, redirect: "manual" });
      return { status: got.status, headers: got.headers, body: await got.text() };
    } catch (error) {
      signal?.throwIfAborted();
      return { error };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** @param {Call} call */
  async #headers({ method, path, body }) {
    const secret = this.#secret;
    return {
      accept: "application/json",
      authorization: `Bearer ${this.#apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(secret === null ? {} : await sign({ method, path, body, secret })),
    };
  }
}

/**
 * The request once it is final, whatever its end; an outage on the way is waited out.
 * @param {Caller} caller @param {string} id @param {CallOptions} [options]
 */
async function wait(caller, id, { signal, timeout = Infinity } = {}) {
  const end = now() + timeout;
  let last = null;
  for (let failures = 0; ; ) {
    const askedAt = now();
    const left = Math.max(0, end - askedAt);
    const outcome = await caller.send(look(id, Math.min(POLL_SECONDS, left)), signal);
    let pause = pauseAfter(outcome, failures, caller.retries);
    if (pause === null) {
      last = decoded(succeeded(outcome));
      if (FINAL.has(last.status)) return last;
      failures = 0;
      pause = Math.max(0, askedAt + LEAST_SECONDS - now());
    } else {
      failures += 1;
    }
    if (now() + pause >= end) {
      const error = new ReqRunError("The request is not final yet.", "wait_timed_out");
      throw Object.assign(error, { requestId: id, last });
    }
    await sleep(pause, signal);
  }
}

/**
 * A try whose answer was lost may have cancelled it; then the next is told that it is final
 * already, and a look decides.
 * @param {Caller} caller @param {string} id @param {CallOptions} [options]
 */
async function cancel(caller, id, options) {
  /** @type {Call[]} */
  const tries = [];
  const call = { method: "POST", path: pathOf(id, "/cancel"), seconds: SECONDS };
  try {
    return await caller.object(call, options, tries);
  } catch (error) {
    const isFinal = error instanceof ReqRunError && error.code === "already_finished";
    const found = isFinal && tries.length > 1 && (await caller.object(look(id, 0), options));
    if (found && found.status === "cancelled") return found;
    throw error;
  }
}

/**
 * A request; one without an idempotency key gets a new one, so that it can be sent again.
 * @param {any} params @param {CallOptions} [options]
 * @returns {Call}
 */
function submission(params, options) {
  const fields = { ...params, wait: Boolean(params.wait) };
  fields.idempotency_key ??= crypto.randomUUID();
  if (fields.wait_timeout == null) delete fields.wait_timeout;
  const waits = fields.wait ? (fields.wait_timeout ?? DEFAULT_WAIT) : 0;
  const seconds = (options?.timeout ?? SECONDS) + waits;
  return { method: "POST", path: SUBMIT_PATH, body: JSON.stringify(fields), seconds };
}

/** @param {string} id @param {number} seconds @returns {Call} */
function look(id, seconds) {
  const query = seconds > 0 ? `wait=${seconds.toFixed(3)}` : "";
  return { method: "GET", path: pathOf(id), query, seconds: SECONDS + seconds };
}

/** @param {object} params @returns {Call} */
function page(params) {
  const given = Object.entries(params).filter(([, value]) => value != null);
  const query = String(new URLSearchParams(given.map(([name, value]) => [name, String(value)])));
  return { method: "GET", path: "/v1/requests", query, seconds: SECONDS };
}

/**
 * The path is signed as it is sent, so an id that would need escaping is none of ours.
 * @param {string} id
 */
function pathOf(id, rest = "") {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw new TypeError("this is not the id of a request");
  return `/v1/requests/${id}${rest}`;
}

/**
 * Seconds before the next try, null where another would change nothing: random between half of
 * and the whole of a growing pause, never ending before the server's Retry-After.
 * @param {Answer | Lost} outcome @param {number} number how many failed before
 * @param {typeof RETRIES} retries
 */
function pauseAfter(outcome, number, { base, cap }) {
  if (!isPassing(outcome)) return null;
  const asked = "error" in outcome ? null : secondsOf(outcome.headers.get("retry-after"));
  const backoff = Math.min(cap, base * 2 ** number) * (0.5 + Math.random() / 2);
  return asked === null ? backoff : Math.max(backoff, asked + base * Math.random());
}

/**
 * Whether the same call may succeed in a moment. The error that a drop-in key gets for a request
 * that has failed is the request's end; `x-should-retry` is for who may have sent no key.
 * @param {Answer | Lost} outcome
 */
function isPassing(outcome) {
  if ("error" in outcome) return true;
  if (isSuccess(outcome) || FINAL.has(outcome.headers.get("x-reqrun-status") ?? "")) return false;
  const code = told(outcome).code ?? "";
  return ALWAYS_PASSING.has(code) || (PASSING.has(outcome.status) && !NEVER_PASSING.has(code));
}

/** @param {Answer | Lost} outcome @returns {Answer} */
function succeeded(outcome) {
  if ("error" in outcome) {
    throw new ReqRunError("There was no answer.", "no_answer", undefined, { cause: outcome.error });
  }
  if (isSuccess(outcome)) return outcome;
  const { message, code } = told(outcome);
  throw new ReqRunError(message ?? NOT_OURS, code ?? "unreadable_answer", outcome);
}

const NOT_OURS = "The answer is not one of ReqRun's.";

/** @param {Answer} answer @returns {any} */
function decoded(answer) {
  const found = parsed(answer.body);
  if (found !== null && typeof found === "object" && !Array.isArray(found)) return found;
  throw new ReqRunError(NOT_OURS, "unreadable_answer", answer);
}

/**
 * The members of the error envelope; empty where a proxy answered something of its own.
 * @param {Answer} answer
 * @returns {{ message?: string, type?: string, code?: string }}
 */
function told(answer) {
  const error = parsed(answer.body)?.error ?? {};
  return Object.fromEntries(Object.entries(error).filter(([, text]) => typeof text === "string"));
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {Answer} answer */
const isSuccess = (answer) => answer.status >= 200 && answer.status < 300;
/** @param {string | null} text */
const secondsOf = (text) => (text !== null && /^\d+$/.test(text) ? Number(text) : null);
const now = () => performance.now() / 1000;

/** @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal?.reason));
    const done = () => (signal?.removeEventListener("abort", stop), resolve());
    const timer = setTimeout(done, seconds * 1000);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** @param {string} secret */
function hmacKey(secret) {
  const bytes = utf8.encode(needed(secret, "secret"));
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** @param {ArrayBuffer} bytes */
function hex(bytes) {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * White space around a key is dropped, ASCII's alone: `trim` is not the same in every language.
 * @param {string} text @param {string} name
 */
function needed(text, name) {
  const trimmed = typeof text === "string" ? text.replace(/^[ \t-\r]+|[ \t-\r]+$/g, "") : "";
  if (trimmed === "") throw new TypeError(`${name} is empty`);
  return trimmed;
}

/** Without the slash at its end; what ends in /v1 is for the openai package. @param {string} url */
function origin(url) {
  const { protocol, username, search, hash, pathname } = new URL(url);
  const isPlain = username === "" && search === "" && hash === "";
  if (!/^https?:$/.test(protocol) || !isPlain || /\/v1\/*$/.test(pathname)) {
    throw new TypeError("baseURL is http(s) and the origin alone: no user, no query, no /v1");
  }
  return url.trim().replace(/\/+$/, "");
}
