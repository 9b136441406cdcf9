// The keyboard: every binding says what it does, and the help overlay is made of what is bound just now.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Binding {
  /** `j`, `Space`, `ArrowLeft`, or two keys one after the other: `g s`. */
  keys: string;
  /** Heading in the help. */
  group: string;
  /** What it does, for people. */
  does: string;
  run: () => void;
}

/** What is bound, the latest last. */
export const bindings = signal<Binding[]>([]);

/** How long a second key may take. */
const PATIENCE = 1200;
let before: { key: string; at: number } | undefined;

const named = (event: KeyboardEvent): string => (event.key === " " ? "Space" : event.key);

/** Keys that belong to what has the focus, and not to the page. */
function isTaken(event: KeyboardEvent): boolean {
  const element = event.target;
  if (!(element instanceof HTMLElement)) return false;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable) return true;
  const presses = event.key === " " || event.key === "Enter";
  return presses && element.closest("button, a, summary, [role=option]") !== null;
}

addEventListener("keydown", (event) => {
  // Out of a field, and nothing else: what it holds stays.
  if (event.key === "Escape" && event.target instanceof HTMLInputElement) return event.target.blur();
  // A dialog has the keyboard for itself.
  if (document.querySelector("dialog[open]")) return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
  const key = named(event);
  const first = before && event.timeStamp - before.at < PATIENCE ? `${before.key} ${key}` : undefined;
  before = undefined;
  const find = (keys: string | undefined) => bindings.peek().findLast((binding) => binding.keys === keys);
  const binding = find(first) ?? find(key);
  if (binding) {
    event.preventDefault();
    binding.run();
  } else if (key.length === 1) {
    before = { key, at: event.timeStamp };
  }
});

/** Binds keys as long as the component is there. */
export function useKeys(make: () => Binding[], inputs: unknown[]): void {
  useEffect(() => {
    const mine = make();
    bindings.value = [...bindings.peek(), ...mine];
    return () => {
      bindings.value = bindings.peek().filter((binding) => !mine.includes(binding));
    };
  }, inputs);
}

const SHOWN: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };

/** A key as it stands on a keyboard. */
export const shown = (keys: string): string[] => keys.split(" ").map((key) => SHOWN[key] ?? key);
