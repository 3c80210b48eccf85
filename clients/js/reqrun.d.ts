/** The types of reqrun.js. Times are in seconds. */

export interface SignInput {
  method: string;
  /** What follows the host, without the query. */
  path: string;
  /** The very text or bytes that are sent; empty for a call without a body. */
  body?: string | Uint8Array;
  secret: string;
  /** ISO 8601, UTC; now, if left out. */
  timestamp?: string;
  /** Used once; random, if left out. */
  nonce?: string;
}

export interface SignedHeaders {
  "X-ReqRun-Timestamp": string;
  "X-ReqRun-Nonce": string;
  "X-ReqRun-Signature": string;
}

/** The three headers that sign a call, for any HTTP client. */
export function sign(input: SignInput): Promise<SignedHeaders>;

export type Status = "queued" | "processing" | "retrying" | "completed" | "failed" | "cancelled";

/** OpenAI's fields and ReqRun's; whatever else is given is sent as it is. */
export interface ChatParams {
  model: string;
  messages: ReadonlyArray<Record<string, unknown>>;
  wait?: boolean;
  wait_timeout?: number | null;
  /** A new one is made if left out, so that a lost answer can be asked for again. */
  idempotency_key?: string | null;
  max_attempts?: number;
  deadline_seconds?: number;
  call_timeout?: number;
  [field: string]: unknown;
}

export interface Message {
  role: string;
  content: string | null;
  tool_calls?: unknown[];
  [member: string]: unknown;
}

export interface Choice {
  index: number;
  message: Message;
  finish_reason: string | null;
  [member: string]: unknown;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  [member: string]: unknown;
}

/** The provider's body, untouched. */
export interface Completion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: Choice[];
  usage?: Usage;
}

/** A request that is stored and not completed; `created` in Unix seconds. */
export interface Accepted {
  id: string;
  object: "chat.completion.async";
  status: Exclude<Status, "completed">;
  created: number;
}

/** Where a request stands. `attempts`: calls to the provider so far. */
export interface Request {
  id: string;
  status: Status;
  attempts: number;
  created_at: string;
  updated_at: string;
  last_error_code: string | null;
  result: Completion | null;
}

/** One call to the provider. `retry_rule`: what chose `retry_at`. */
export interface Attempt {
  number: number;
  outcome: string;
  started_at: string;
  sent_at: string | null;
  finished_at: string | null;
  status_code: number | null;
  error_code: string | null;
  retry_at: string | null;
  retry_rule: string | null;
  provider_request_id: string | null;
  provider_headers: Record<string, string> | null;
  provider_error: string | null;
  usage: Usage | null;
}

/** A request in a list. `erased_at`: when its bodies were destroyed on somebody's wish. */
export interface ListedRequest {
  id: string;
  object: "request";
  status: Status;
  endpoint: string;
  model: string;
  attempts: number;
  created_at: string;
  updated_at: string;
  last_error_code: string | null;
  idempotency_key: string | null;
  retried_from: string | null;
  erased_at: string | null;
}

export interface List<T> {
  object: "list";
  data: T[];
  has_more?: boolean;
  first_id?: string | null;
  last_id?: string | null;
}

export interface ListParams {
  limit?: number;
  /** The `last_id` of the page before. */
  after?: string;
  /** One or several, with commas between. */
  status?: string;
  model?: string;
  /** ISO 8601 with a zone, or Unix seconds. */
  created_after?: string | number;
  created_before?: string | number;
}

export interface CallOptions {
  signal?: AbortSignal;
}

/**
 * `count` tries after the first (4). The n-th pause is random between half of and the whole of
 * `base` * 2**n (0.5), at most `cap` (8), and never ends before the server's Retry-After; one longer
 * than `longest` (60) is an error at once.
 */
export interface Retries {
  count?: number;
  base?: number;
  cap?: number;
  longest?: number;
}

export interface ReqRunOptions {
  apiKey: string;
  /** For a key that signs its calls. */
  signingSecret?: string | null;
  /** The origin alone, without /v1. */
  baseURL?: string;
  fetch?: typeof globalThis.fetch;
  retries?: Retries;
}

/** A call was refused or failed; match on `code`, the text is for people. */
export class ReqRunError extends Error {
  readonly code: string;
  /** Null where there was no answer. */
  readonly status: number | null;
  readonly type: string;
  /** Names the HTTP call to support. */
  readonly callId: string | null;
  /** The `rr_` id, where the call was about a request. */
  readonly requestId: string | null;
  readonly retryAfter: number | null;
  /** With `wait_timed_out`: how the request stood when last seen. */
  readonly last?: Request | null;
}

export class ReqRun {
  constructor(options: ReqRunOptions);
  readonly chat: {
    readonly completions: {
      /**
       * Store a request and run it; tell the two answers apart by `object`. `timeout`: how long one
       * try may go without an answer, on top of the wait.
       */
      create(
        params: ChatParams,
        options?: CallOptions & { timeout?: number },
      ): Promise<Completion | Accepted>;
    };
  };
  readonly requests: {
    /** Where it stands, once it is final or `wait` seconds (at most 600) have passed. */
    get(id: string, options?: CallOptions & { wait?: number }): Promise<Request>;
    /** The request once it is final, whatever its end; `wait_timed_out` after `timeout` seconds. */
    wait(id: string, options?: CallOptions & { timeout?: number }): Promise<Request>;
    /** One page, newest first. */
    list(params?: ListParams, options?: CallOptions): Promise<List<ListedRequest>>;
    /** Its calls to the provider, oldest first. */
    attempts(id: string, options?: CallOptions): Promise<List<Attempt>>;
    /** End it; a final one is a ReqRunError `already_finished`. */
    cancel(id: string, options?: CallOptions): Promise<Request>;
    /** A new request from a failed one; asking twice gives the same one, or its result. */
    retry(id: string, options?: CallOptions): Promise<Completion | Accepted>;
    /** Forget what was asked and answered, at once; the metadata stays. Cancels an open one. */
    erase(id: string, options?: CallOptions): Promise<Request>;
  };
  readonly models: {
    /** What the provider offers. */
    list(options?: CallOptions): Promise<List<Record<string, unknown>>>;
  };
}
