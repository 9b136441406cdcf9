// Asking the API: a few questions at a time, refusals as values, and who is signed in.
import { signal } from "@preact/signals";
import type { Me, Problem } from "./types";

/** The server lets one user ask four questions at once; one is left for other tabs. */
const AT_ONCE = 3;

/** Why a question was not answered. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** Who is signed in: unknown until the server has said, null for nobody. */
export const me = signal<Me | null | undefined>(undefined);

type Job = () => Promise<void>;
const waiting: Job[] = [];
let running = 0;

function go(): void {
  while (running < AT_ONCE) {
    const job = waiting.shift();
    if (!job) return;
    running += 1;
    void job().finally(() => {
      running -= 1;
      go();
    });
  }
}

export type Parameters = Record<string, string | number | null | undefined>;

/** A path of the API with its parameters; empty ones are left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? `/api/v1${path}` : `/api/v1${path}?${text}`;
}

async function answer<T>(url: string, request: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    const detail = "The console does not answer. It may be restarting, or the network is away.";
    throw new Refused({ type: "urn:tapedeck:problem:away", title: "No answer", status: 0, detail });
  }
  if (response.ok) return (await response.json()) as T;
  if (response.status === 401) me.value = null;
  const text = await response.text();
  try {
    throw new Refused(JSON.parse(text) as Problem);
  } catch (error) {
    if (error instanceof Refused) throw error;
    const detail = `The console answered ${response.status}.`;
    throw new Refused({ type: "urn:tapedeck:problem:internal", title: "No answer", status: response.status, detail });
  }
}

/** Asks when it is this question's turn. One that was given up before its turn is never asked. */
export function ask<T>(path: string, parameters: Parameters = {}, given?: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    waiting.push(async () => {
      if (given?.aborted) return reject(given.reason as Error);
      const request: RequestInit = { headers: { accept: "application/json" } };
      if (given) request.signal = given;
      await answer<T>(address(path, parameters), request).then(resolve, reject);
    });
    go();
  });
}

/** Asks with a body: what must stand in no address. */
export function askBody<T>(path: string, question: unknown): Promise<T> {
  const headers = { accept: "application/json", "content-type": "application/json", "x-csrf-token": me.value?.csrf_token ?? "" };
  return answer<T>(address(path), { method: "POST", headers, body: JSON.stringify(question) });
}

/** Asks who is signed in. */
export async function whoAmI(): Promise<void> {
  try {
    me.value = await ask<Me>("/me");
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 401) me.value = null;
    else throw error;
  }
}

/** Where to sign in, and come back to this very place. */
export function signInAddress(): string {
  return `/auth/sign-in?return_to=${encodeURIComponent(location.pathname + location.search)}`;
}

/** Ends the session here and at the provider. */
export async function signOut(): Promise<void> {
  const token = me.value?.csrf_token ?? "";
  const request = { method: "POST", headers: { "x-csrf-token": token } };
  const { location: to } = await answer<{ location: string }>("/auth/sign-out", request);
  location.assign(to);
}

/** Whether an error only says that nobody waits for the answer any more. */
export function isGivenUp(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
