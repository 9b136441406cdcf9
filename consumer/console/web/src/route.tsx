// Where we are: the path and its parameters, which hold every filter, so that a link is all that somebody else needs.
import { computed, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

interface Place {
  path: string;
  query: string;
}

const read = (): Place => ({ path: location.pathname, query: location.search });
export const place = signal<Place>(read());
export const query = computed(() => new URLSearchParams(place.value.query));

addEventListener("popstate", () => (place.value = read()));

/** Goes there within the console. `instead` leaves no trace in the history. */
export function go(to: string, instead = false): void {
  history[instead ? "replaceState" : "pushState"](null, "", to);
  place.value = read();
  if (!instead) document.getElementById("main")?.focus({ preventScroll: true });
}

/** The same page with parameters changed; null takes one away. */
export function withQuery(changes: Record<string, string | null>): string {
  const next = new URLSearchParams(place.peek().query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return text === "" ? place.peek().path : `${place.peek().path}?${text}`;
}

interface LinkProps {
  to: string;
  class?: string;
  title?: string;
  "aria-label"?: string;
  "aria-current"?: "page" | undefined;
  children?: ComponentChildren;
}

/** A link that does not load the page again, unless a new tab is asked for. */
export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a {...rest} href={to} onClick={follow}>
      {children}
    </a>
  );
}
