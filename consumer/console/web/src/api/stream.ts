// Server-sent events of the API. The browser comes back by itself after an interruption, with the last event's id.
import { signal, type ReadonlySignal } from "@preact/signals";

export type StreamState = "connecting" | "open" | "lost";

export interface Stream {
  state: ReadonlySignal<StreamState>;
  close(): void;
}

/** Opens a stream and hands each event of that name, parsed, to `take`. */
export function stream<T>(url: string, name: string, take: (event: T) => void): Stream {
  const state = signal<StreamState>("connecting");
  const source = new EventSource(url);
  source.onopen = () => (state.value = "open");
  // Closed for good: refused, or the session has ended. Else the browser tries again.
  source.onerror = () => (state.value = source.readyState === EventSource.CLOSED ? "lost" : "connecting");
  source.addEventListener(name, (event: MessageEvent<string>) => take(JSON.parse(event.data) as T));
  return { state, close: () => source.close() };
}
