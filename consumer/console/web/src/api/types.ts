// Made of the API's description. To make it again: TAPEDECK_WRITE_TYPES=1 cargo test -p tapedeck --lib the_pages_know

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** The cursor of the next page; none on the last. */
  next: string | null;
}

/** Somebody looked at something, or was not allowed to. */
export interface AccessEntry {
  /** view, search, replay, tail, export, sign_in, sign_out, sql, … */
  action: string;
  /** Bytes that were sent. */
  bytes: number;
  /** Address that the question came from. */
  client_address: string;
  /** Their e-mail address. */
  email: string;
  /** The question as asked. */
  filter: string;
  /** Names the entry. */
  id: string;
  /** Who: `iss` of the verified token; empty where nobody was known, or for a database user. */
  issuer: string;
  /** Their name. */
  name: string;
  /** What else was looked at. */
  object: string;
  /** allowed, refused, failed. */
  outcome: string;
  /** Why it was refused or failed. */
  reason: string;
  /** Names the request, as the answer's `X-Request-Id` does. */
  request_id: string;
  /** The right that was used: viewer, auditor, administrator, sql; empty where none was. */
  role: string;
  /** Rows or frames that were shown. */
  rows: number;
  /** The session that was looked at; nil: none, or several. */
  session_id: string;
  /** Who: `sub` of the verified token, or the name of the database user. */
  subject: string;
  /** Tenant of what was looked at, where it is one. */
  tenant: string;
  /** When it was written, which is before the answer left. */
  time: string;
  /** `User-Agent`; nobody has verified it. */
  user_agent: string;
}

/** A JSON-RPC request and its answer. */
export interface Call {
  /** Payload bytes of the answer. */
  answer_bytes: number;
  /** When its exchange began: calls are ordered by it. */
  called: string;
  /** to_target: the client asked; to_client: the target did. */
  direction: string;
  /** `error.code` of a JSON-RPC error; 0 for none. */
  error_code: number;
  /** The exchange of the request. */
  exchange_id: string;
  /** When the answer was whole, or else its exchange ended; null: neither is on record. */
  finished: string | null;
  /** HTTP status; 0 for none. */
  http_status: number;
  /** `iss` of the caller's token. */
  issuer: string;
  /** JSON-RPC method. */
  method: string;
  /** Tool, prompt or resource URI. */
  name: string;
  /** answered, error, unanswered, refused, not_forwarded, cancelled, upstream_lost, aborted, unknown, open. */
  outcome: string;
  /** Payload bytes of the request. */
  request_bytes: number;
  /** JSON-RPC id as sent, as JSON text. */
  rpc_id: string;
  /** Rule of the proxy that refused or ended it. */
  rule: string;
  /** The session. */
  session_id: string;
  /** When the request was whole. */
  started: string;
  /** `sub` of the caller's token. */
  subject: string;
  /** Name of the MCP server. */
  target: string;
  /** Tenant of the caller. */
  tenant: string;
}

/** Calls that were asked in one step. */
export interface CallStep {
  /** Calls. */
  calls: number;
  /** That ended with an error. */
  errors: number;
  /** Half of the answers took no longer, milliseconds; 0 where none came. */
  p50: number;
  /** 95 % of them. */
  p95: number;
  /** 99 % of them. */
  p99: number;
  /** That the proxy refused. */
  refused: number;
  /** Start of the step. */
  time: string;
  /** Whose end nobody saw. */
  unknown: number;
}

/** How many sessions there are. */
export interface Count {
  /** There are more than these. */
  is_more: boolean;
  /** Sessions that fit; 1000 at most. */
  sessions: number;
}

/** A record that is no frame. Nothing of its value is kept here. */
export interface DeadLetter {
  /** Offset of the record. */
  offset: number;
  /** Partition of the record. */
  partition: number;
  /** Stable name of what was wrong with it. */
  reason: string;
  /** When it was read again and loaded; null: it was not. */
  retried: string | null;
  /** The session in which its place is shown; nil: none. */
  session_id: string;
  /** Bytes of its value. */
  size: number;
  /** Configured id of the cluster and topic. */
  source: string;
  /** Timestamp of the record. */
  time: string;
  /** Topic of the record. */
  topic: string;
}

/** One value of one facet. */
export interface FacetValue {
  /** user, target, tool, client, tenant, outcome: the filter that takes the value. */
  facet: string;
  /** Sessions that have it. */
  sessions: number;
  /** The value. */
  value: string;
}

/** All facets. */
export interface Facets {
  /** By facet, then the most frequent first; the first 20 of each. */
  values: FacetValue[];
}

/** One JSON-RPC message in one direction, or one event of the recorder. */
export interface Frame {
  /** Content-Type of this message. */
  content_type: string;
  /** The proxy's rule or reason, where it decided something. */
  decision_rule: string;
  /** to_target, to_client, none. */
  direction: string;
  /** How the exchange ended, where this frame says it. */
  ended: string;
  /** One HTTP request and all that comes back on it. */
  exchange_id: string;
  /** Hash over the frame as recorded, chained over its segment; hexadecimal. */
  frame_hash: string;
  /** Frames that a gap stands for. */
  gap_frames: number;
  /** Method of the exchange. */
  http_method: string;
  /** Status of the answer; 0 for none. */
  http_status: number;
  /** message, exchange_start, exchange_end, refused, gap, undecodable, … */
  kind: string;
  /** Position in a message that was split, from 0. */
  part_index: number;
  /** The last part of its message, or the only one. */
  part_last: boolean;
  /** The redacted body, or event data; cut where it is longer than was asked for. */
  payload: string;
  /** Bytes of the payload as sent. */
  payload_size: number;
  /** Bytes of the redacted payload; more than `payload` has where it was cut. */
  payload_stored: number;
  /** none, unchanged, masked, dropped, joined, erased. */
  redaction: string;
  /** Why a payload was dropped. */
  redaction_reason: string;
  /** Rules that masked something. */
  redaction_rules: string[];
  /** `error.code`; 0 for none. */
  rpc_error_code: number;
  /** JSON-RPC id as sent, as JSON text. */
  rpc_id: string;
  /** `result.isError`. */
  rpc_is_error: boolean;
  /** request, response, error, notification, batch, none. */
  rpc_kind: string;
  /** JSON-RPC method; in an answer, that of its request. */
  rpc_method: string;
  /** Tool, prompt or resource URI. */
  rpc_name: string;
  /** Segment of the frame. */
  segment_id: string;
  /** Number in the segment. */
  seq: number;
  /** Number in the session, from 1. */
  session_seq: number;
  /** `event` of the server-sent event. */
  sse_event: string;
  /** `id` of the server-sent event. */
  sse_id: string;
  /** The proxy's wall clock. */
  time: string;
  /** A part of a message whose rest never came. */
  truncated: boolean;
  /** intact, tampered, fork, undecodable. */
  verdict: string;
}

/** Frames of a session in their order. */
export interface FramePage {
  items: Frame[];
  /** What to ask for as `after` to go on; none at the end of what there is now. */
  next: number | null;
  /** Frames of the session so far. */
  total: number;
}

/** That this is answered says that ClickHouse answers and that the access log can be written. */
export interface Health {
  /** Time of the latest frame in what the caller may see, of the last 24 hours; null: none. */
  latest_frame: string | null;
  /** Frames that are known to be missing; null for those who are no administrators. */
  missing_frames: number | null;
}

/** A frame that holds the text. */
export interface Hit {
  /** to_target, to_client, none. */
  direction: string;
  /** The text, with what stands before and after it. */
  excerpt: string;
  /** Where in the excerpt the text begins, in characters from 0. */
  excerpt_at: number;
  /** JSON-RPC method. */
  method: string;
  /** Tool, prompt or resource URI. */
  name: string;
  /** Segment of the frame. */
  segment_id: string;
  /** Number in the segment. */
  seq: number;
  /** The session; nil for what belongs to none. */
  session_id: string;
  /** The frame's number in the session. */
  session_seq: number;
  /** `sub` of the caller's token. */
  subject: string;
  /** Name of the MCP server. */
  target: string;
  /** Tenant of the caller. */
  tenant: string;
  /** The proxy's wall clock. */
  time: string;
}

/** A session in which the value stood. */
export interface Holder {
  /** Time of the first frame that held it. */
  first: string;
  /** How many frames held it. */
  frames: number;
  /** What it was taken for: card, email, … */
  kinds: string[];
  /** Time of the latest. */
  latest: string;
  /** The session. */
  session_id: string;
  /** Number in the session of the first of them. */
  session_seq: number;
  /** `sub` of the caller's token. */
  subject: string;
  /** Name of the MCP server. */
  target: string;
  /** Tenant of the caller. */
  tenant: string;
}

/** What an export was, from the access log: proof of who got what, and a hash to hold a file against. */
export interface Manifest {
  /** When it was asked for. */
  asked: string;
  /** Its bytes, of the whole also where an answer began later. */
  bytes: number;
  /** Their e-mail address. */
  email: string;
  /** When its last piece was let go, or it broke off; null while it is under way. */
  ended: string | null;
  /** Frames in it. */
  frames: number;
  /** The export: the `X-Request-Id` of its answer. */
  id: string;
  /** `iss` of who got it. */
  issuer: string;
  /** Their name. */
  name: string;
  /** The question: form, filters and bound. */
  question: Record<string, unknown>;
  /** Why it broke off. */
  reason: string;
  /** The right that was used. */
  role: string;
  /** The session; nil: several. */
  session_id: string;
  /** SHA-256 of the whole, hexadecimal; empty unless it is complete. */
  sha256: string;
  /** complete, broken_off, or under_way. */
  state: string;
  /** `sub` of who got it. */
  subject: string;
  /** The tenant, where it is a session's. */
  tenant: string;
}

/** The caller. */
export interface Me {
  /** For `X-CSRF-Token` with unsafe methods; null for bearers of tokens, who need none. */
  csrf_token: string | null;
  /** E-mail address, as the issuer has it. */
  email: string | null;
  /** Whether values that tokens stand for can be searched for: the console has keys, and the caller audits a tenant. */
  finds_values: boolean;
  /** `iss` of the token. */
  issuer: string;
  /** Name, as the issuer has it. */
  name: string | null;
  /** All rights, the least first. */
  roles: ("viewer" | "auditor" | "administrator")[];
  /** `sub` of the token. */
  subject: string;
  /** The tenants of an auditor. */
  tenants: string[];
}

/** A dead letter, and every attempt to read it again. */
export interface OpenedLetter {
  /** The letter. */
  letter: DeadLetter;
  /** Attempts, the first one first. */
  retries: Retry[];
}

/** Frames in their order, as columns of equal length. */
export interface Outline {
  /** A letter for each frame: q request to the target, Q request to the client, r answer, e answer with an error, p progress, n other notification, b batch, c part of a message that goes on, x refused or badly ended, g gap, t not intact, - anything else. */
  marks: string;
  /** What to ask for as `after` to go on; none at the end of what there is now. */
  next: number | null;
  /** Each frame's number in the session, less that of the one before it; the first counts from 0. */
  numbers: number[];
  /** Time of the first frame here, microseconds since 1970; 0 where there is none. */
  start: number;
  /** Each frame's time in microseconds, less that of the one before it, or `start`. Proxies' clocks may go back. */
  times: number[];
}

/** A problem as it is sent. */
export interface Problem {
  /** What happened here, and what to do. */
  detail: string;
  /** The HTTP status. */
  status: number;
  /** The kind in a few words. */
  title: string;
  /** What kind of problem: `urn:tapedeck:problem:` and a stable name. */
  type: string;
}

/** Where programs sign in, and as what. */
export interface Programs {
  /** What to ask tokens for, as `resource` (RFC 8707). */
  audience: string;
  /** The public client as which programs sign in; null: they register themselves (RFC 7591). */
  client_id: string | null;
  /** The identity provider. */
  issuer: string;
  /** What to ask for. */
  scopes: string[];
}

/** That somebody wanted a dead letter read again, and what came of it. */
export interface Retry {
  /** When that was written. */
  changed: string;
  /** Empty: the consumer has not come to it. loaded, duplicate, gone; otherwise why it still cannot be read. */
  outcome: string;
  /** When it was asked for. */
  requested: string;
  /** Who asked, as given. */
  requested_by: string;
}

/** What one client did in one sitting. */
export interface Session {
  /** Payload bytes both ways so far. */
  bytes: number;
  /** Requests to the target so far. */
  calls: number;
  /** Addresses that the client came from. */
  client_addresses: string[];
  /** OAuth client id. */
  client_id: string;
  /** What the client calls itself; nobody has verified it. */
  client_name: string;
  /** E-mail address of the caller. */
  email: string;
  /** Errors, refusals and bad ends so far. */
  errors: number;
  /** Frames so far. */
  frames: number;
  /** `iss` of the caller's token. */
  issuer: string;
  /** Time of its latest frame. */
  latest: string;
  /** Name of the caller. */
  name: string;
  /** Tools, prompts and resources used. */
  names: string[];
  /** MCP revision. */
  revision: string;
  /** Names the session; its start is in it. */
  session_id: string;
  /** Several clients could not be told apart. */
  shared: boolean;
  /** When it began. */
  started: string;
  /** `sub` of the caller's token; empty where nobody was known. */
  subject: string;
  /** Name of the MCP server. */
  target: string;
  /** Tenant of the caller. */
  tenant: string;
}

/** Sessions that began in one step. */
export interface SessionStep {
  /** Payload bytes in them. */
  bytes: number;
  /** Requests to targets in them, whenever. */
  calls: number;
  /** Errors in them. */
  errors: number;
  /** Sessions that began. */
  sessions: number;
  /** Start of the step. */
  time: string;
}

/** Where to go to sign out at the provider, too. */
export interface SignedOut {
  /** A URL of the provider, or `/`. */
  location: string;
}

/** Both, each in the order of time; steps without any are left out. */
export interface Statistics {
  /** By when calls were asked. */
  calls: CallStep[];
  /** By when sessions began. */
  sessions: SessionStep[];
  /** Seconds of a step. */
  step: number;
}

/** What to look for, and where. */
export interface Wanted {
  /** `next` of the page before. */
  cursor: string | null;
  /** In sessions that began at or after. */
  from: string | null;
  /** Sessions on the page; default 50. */
  limit: number | null;
  /** With this target only. */
  target: string | null;
  /** In this tenant only; default: all those that the caller audits. */
  tenant: string | null;
  /** In sessions that began before. */
  to: string | null;
  /** The value as anybody might write it, such as a card's number, an e-mail address, a phone number. */
  value: string;
}
