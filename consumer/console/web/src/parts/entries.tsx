// A log: entries that are read page by page, of which one is opened beside the others. By keys as well.
import { signal, useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, isGivenUp, type Parameters } from "../api/ask";
import { problemOf } from "../api/load";
import type { Page, Problem } from "../api/types";
import { useKeys } from "../keys";
import { go } from "../route";
import { Icon } from "./icon";
import type { RowsHandle } from "./rows";

interface Read<T> {
  items: T[];
  next: string | null;
  busy: boolean;
  problem: Problem | undefined;
}

export interface Entries<T> extends Read<T> {
  /** Reads the next page, if there is one and none is under way. */
  more(): void;
  /** Reads it all again. */
  again(): void;
  chosen: Signal<T | undefined>;
  list: RefObject<RowsHandle | null>;
}

/** The entries of a list of the API, and the keys to go through them. `home` is the page without filters. */
export function useEntries<T>(path: string, parameters: Parameters, group: string, home: string): Entries<T> {
  const times = useSignal(0);
  const key = JSON.stringify(parameters) + times.value;
  const read = useMemo(() => signal<Read<T>>({ items: [], next: null, busy: true, problem: undefined }), [key]);
  const controller = useMemo(() => new AbortController(), [key]);
  useEffect(() => () => controller.abort(), [controller]);
  const chosen = useSignal<T | undefined>(undefined);
  const list = useRef<RowsHandle>(null);

  const load = async (cursor: string | null) => {
    read.value = { ...read.peek(), busy: true };
    try {
      const page = await ask<Page<T>>(path, { ...parameters, limit: 200, cursor }, controller.signal);
      read.value = { items: [...read.peek().items, ...page.items], next: page.next, busy: false, problem: undefined };
    } catch (error) {
      if (!isGivenUp(error)) read.value = { ...read.peek(), busy: false, problem: problemOf(error) };
    }
  };
  useEffect(() => void load(null), [key]);

  const { items, next, busy } = read.value;
  const again = () => void (times.value += 1);
  const move = (by: number) => {
    const at = Math.min(Math.max(0, items.findIndex((entry) => entry === chosen.peek()) + by), items.length - 1);
    chosen.value = items[at];
    list.current?.show(at);
  };
  useKeys(() => {
    const bind = (keys: string, does: string, run: () => void) => ({ keys, does, run, group });
    return [
      bind("j", "Next entry", () => move(1)),
      bind("k", "Entry before", () => move(-1)),
      bind("ArrowDown", "Next entry", () => move(1)),
      bind("ArrowUp", "Entry before", () => move(-1)),
      bind("u", "Look again", again),
      bind("Escape", "Close the entry, or clear all filters", () => (chosen.peek() ? (chosen.value = undefined) : go(home))),
    ];
  }, [items]);
  return { ...read.value, more: () => !busy && next !== null && void load(next), again, chosen, list };
}

/** The opened entry. */
export function OpenedEntry({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  return (
    <aside class="detail" aria-label="Opened entry">
      <header>
        <h2>{title}</h2>
        <span class="grow" />
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="detail-body" tabIndex={0} role="region" aria-label="Contents of the entry">
        {children}
      </div>
    </aside>
  );
}

/** Names and values, without those that are empty. */
export function Fields({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <table class="fields">
      <tbody>
        {of.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
