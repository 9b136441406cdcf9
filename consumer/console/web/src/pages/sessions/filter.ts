// Which sessions: every filter is a parameter of the page's own address, so a bookmark is a saved filter.
import { query } from "../../route";

export const FILTERS = ["user", "target", "tool", "client", "tenant", "outcome"] as const;
export type FilterName = (typeof FILTERS)[number];

export const TITLES: Record<FilterName, string> = {
  user: "User",
  target: "Target",
  tool: "Tool",
  client: "Client",
  tenant: "Tenant",
  outcome: "Outcome",
};

/** Times that can be chosen with one click, by the milliseconds that they reach back. */
export const TIMES: Record<string, { title: string; back: number }> = {
  "1h": { title: "Last hour", back: 3_600_000 },
  "24h": { title: "Last 24 hours", back: 86_400_000 },
  "7d": { title: "Last 7 days", back: 7 * 86_400_000 },
  "30d": { title: "Last 30 days", back: 30 * 86_400_000 },
  "400d": { title: "All", back: 400 * 86_400_000 },
};
export const USUAL = "24h";

export interface Asked {
  /** The filter as the API takes it. */
  parameters: Record<string, string | undefined>;
  /** The same, and the time by its name: changes when a question should be asked again. */
  key: string;
}

/** The filter that the address holds. Times of a name are counted back from `now`. */
export function asked(now: number): Asked {
  const parameters: Record<string, string | undefined> = {};
  for (const name of [...FILTERS, "text"]) parameters[name] = query.value.get(name) ?? undefined;
  const [from, to] = [query.value.get("from"), query.value.get("to")];
  const key = JSON.stringify([parameters, from, to, query.value.get("time")]);
  if (from && to) return { key, parameters: { ...parameters, from, to } };
  const back = (TIMES[query.value.get("time") ?? USUAL] ?? TIMES[USUAL])?.back ?? 0;
  return { key, parameters: { ...parameters, from: new Date(now - back).toISOString() } };
}
