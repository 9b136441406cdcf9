// Access: who looked at what, and who was not allowed to.
import { signal, useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, isGivenUp } from "../api/ask";
import { problemOf } from "../api/load";
import type { AccessEntry, Page, Problem } from "../api/types";
import { bytes, count, NIL, person, short, when, whole } from "../format";
import { useKeys } from "../keys";
import { Facet } from "../parts/facet";
import { Icon } from "../parts/icon";
import { isTree, parsed } from "../parts/json";
import { Rows, type RowsHandle } from "../parts/rows";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain } from "../parts/text";
import { go, Link, query, withQuery } from "../route";

const ROW = 52;
const ACTIONS: Record<string, string> = {
  view: "looked at",
  search: "searched",
  replay: "replayed",
  tail: "tailed",
  export: "exported",
  sign_in: "signed in",
  sign_out: "signed out",
  sql: "asked in SQL",
  approve: "approved",
  erase: "erased",
  hold: "put a hold on",
  release: "released",
};

interface Read {
  items: AccessEntry[];
  next: string | null;
  busy: boolean;
  problem: Problem | undefined;
}

export function AccessPage() {
  const again = useSignal(0);
  const parameters = Object.fromEntries(["user", "action", "outcome", "session"].map((name) => [name, query.value.get(name) ?? undefined]));
  const key = JSON.stringify(parameters) + again.value;
  const read: Signal<Read> = useMemo(() => signal({ items: [], next: null, busy: true, problem: undefined }), [key]);
  const chosen = useSignal<AccessEntry | undefined>(undefined);
  const list = useRef<RowsHandle>(null);
  const controller = useMemo(() => new AbortController(), [key]);
  useEffect(() => () => controller.abort(), [controller]);

  const more = async (cursor: string | null) => {
    read.value = { ...read.peek(), busy: true };
    try {
      const page = await ask<Page<AccessEntry>>("/access", { ...parameters, limit: 200, cursor }, controller.signal);
      read.value = { items: [...read.peek().items, ...page.items], next: page.next, busy: false, problem: undefined };
    } catch (error) {
      if (!isGivenUp(error)) read.value = { ...read.peek(), busy: false, problem: problemOf(error) };
    }
  };
  useEffect(() => void more(null), [key]);

  const { items, next, busy, problem } = read.value;
  const move = (by: number) => {
    const at = Math.min(Math.max(0, items.findIndex((entry) => entry === chosen.peek()) + by), items.length - 1);
    chosen.value = items[at];
    list.current?.show(at);
  };
  useKeys(() => {
    const bind = (keys: string, does: string, run: () => void) => ({ keys, does, run, group: "Access" });
    return [
      bind("j", "Next entry", () => move(1)),
      bind("k", "Entry before", () => move(-1)),
      bind("ArrowDown", "Next entry", () => move(1)),
      bind("ArrowUp", "Entry before", () => move(-1)),
      bind("u", "Look again", () => (again.value += 1)),
      bind("Escape", "Close the entry, or clear all filters", () => (chosen.peek() ? (chosen.value = undefined) : go("/access"))),
    ];
  }, [items]);

  const set = (name: string) => (value: string | null) => go(withQuery({ [name]: value }));
  const people = [...new Set(items.map(person))].slice(0, 20);
  return (
    <div class={chosen.value ? "page access opened" : "page access"}>
      <header class="page-head">
        <h1>
          Access <small class="soft">who looked at what, written before they saw it</small>
        </h1>
      </header>
      <div class="filters">
        <Facet name="Person" value={parameters["user"] ?? ""} choices={people.map((value) => ({ value }))} choose={set("user")} />
        <Facet name="Action" value={parameters["action"] ?? ""} choices={Object.entries(ACTIONS).map(([value, label]) => ({ value, label }))} free={false} choose={set("action")} />
        <Facet name="Outcome" value={parameters["outcome"] ?? ""} choices={["allowed", "refused", "failed"].map((value) => ({ value }))} free={false} choose={set("outcome")} />
        {parameters["session"] && (
          <Link class="button chosen" to={withQuery({ session: null })} aria-label="Any session">
            session …{short(parameters["session"])} <Icon name="close" />
          </Link>
        )}
      </div>
      {problem ? (
        <Trouble problem={problem} again={() => (again.value += 1)} />
      ) : items.length === 0 && busy ? (
        <Waiting what="the access log" />
      ) : items.length === 0 ? (
        <Empty title="Nobody did that">
          <p>Take a filter away to see more of the log.</p>
        </Empty>
      ) : (
        <div class="access-body">
          <Rows
            class="access-rows"
            label={`Access log, latest first: ${count(items.length)} loaded`}
            count={items.length}
            height={ROW}
            handle={list}
            more={() => !busy && next !== null && void more(next)}
            row={(index) => {
              const entry = items[index];
              return entry ? <Row key={entry.id} entry={entry} chosen={entry === chosen.value} choose={() => (chosen.value = entry)} /> : <div />;
            }}
          />
          {chosen.value && <Opened entry={chosen.value} close={() => (chosen.value = undefined)} />}
        </div>
      )}
    </div>
  );
}

function Row({ entry, chosen, choose }: { entry: AccessEntry; chosen: boolean; choose: () => void }) {
  const tone = entry.outcome === "allowed" ? "" : entry.outcome === "refused" ? "warn" : "bad";
  return (
    <div class={`access-row ${chosen ? "chosen" : ""}`} role="listitem">
      <span class="number soft" title={whole(entry.time)}>
        {when(entry.time)}
      </span>
      <button type="button" class="access-main" aria-pressed={chosen} onClick={choose}>
        <span>
          <strong>{plain(person(entry))}</strong> {ACTIONS[entry.action] ?? plain(entry.action)} {plain(entry.object)} {tone && <span class={`badge ${tone}`}>{plain(entry.reason || entry.outcome)}</span>}
        </span>
        <small class="soft">{plain(question(entry.filter))}</small>
      </button>
      <span class="soft number access-rows-shown">{entry.rows > 0 ? `${count(entry.rows)} rows · ${bytes(entry.bytes)}` : ""}</span>
      {entry.session_id !== NIL ? (
        <Link class="number" to={`/sessions/${entry.session_id}`} aria-label={`Session ${entry.session_id}`}>
          …{short(entry.session_id)}
        </Link>
      ) : (
        <span />
      )}
    </div>
  );
}

/** A question's parameters on one line. */
function question(filter: string): string {
  const value = parsed(filter);
  const flat = Array.isArray(value) ? (Object.assign({}, ...value.filter(isTree)) as Record<string, unknown>) : value;
  if (!isTree(flat)) return flat === null ? "" : filter;
  const words = Object.entries(flat).filter(([name]) => name !== "cursor" && name !== "limit");
  return words.map(([name, member]) => `${name}: ${String(member)}`).join(" · ");
}

function Opened({ entry, close }: { entry: AccessEntry; close: () => void }) {
  return (
    <aside class="detail" aria-label="Opened entry">
      <header>
        <h2>Entry</h2>
        <span class="grow" />
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="detail-body" tabIndex={0} role="region" aria-label="Contents of the entry">
        <table class="fields">
          <tbody>
            {Object.entries(entry)
              .filter(([, value]) => value !== "" && value !== NIL)
              .map(([name, value]) => (
                <tr key={name}>
                  <th scope="row">{name.replaceAll("_", " ")}</th>
                  <td>{plain(String(value))}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </aside>
  );
}
