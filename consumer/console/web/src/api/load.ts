// What a page shows while it asks: nothing yet, what came, or why not.
import { signal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Problem } from "./types";
import { isGivenUp, Refused } from "./ask";

export interface Loaded<T> {
  value: T | undefined;
  problem: Problem | undefined;
  busy: boolean;
}

/** An error as a problem to show. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  const detail = error instanceof Error ? error.message : String(error);
  return { type: "urn:tapedeck:problem:page", title: "This page failed", status: 0, detail };
}

/**
 * Asks again whenever `key` changes, and keeps showing the last answer until the next is there. What was asked before and
 * is not answered yet is given up.
 */
export function useLoaded<T>(key: string, load: (given: AbortSignal) => Promise<T>): Signal<Loaded<T>> {
  const state = useRef<Signal<Loaded<T>>>(undefined);
  state.current ??= signal({ value: undefined, problem: undefined, busy: true });
  const shown = state.current;
  useEffect(() => {
    const controller = new AbortController();
    shown.value = { ...shown.value, busy: true };
    load(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) shown.value = { value, problem: undefined, busy: false };
      },
      (error: unknown) => {
        if (isGivenUp(error) || controller.signal.aborted) return;
        shown.value = { value: undefined, problem: problemOf(error), busy: false };
      },
    );
    return () => controller.abort();
  }, [key]);
  return shown;
}
