// Access: who looked at what, and who was not allowed to.
import type { AccessEntry } from "../api/types";
import { bytes, count, NIL, person, short, when, whole } from "../format";
import { Fields, OpenedEntry, useEntries } from "../parts/entries";
import { Facet } from "../parts/facet";
import { Icon } from "../parts/icon";
import { isTree, parsed } from "../parts/json";
import { Rows } from "../parts/rows";
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
  retry: "had read again",
  approve: "approved",
  erase: "erased",
  hold: "put a hold on",
  release: "released",
};

export function AccessPage() {
  const parameters = Object.fromEntries(["user", "action", "outcome", "session"].map((name) => [name, query.value.get(name) ?? undefined]));
  const { items, busy, problem, more, again, chosen, list } = useEntries<AccessEntry>("/access", parameters, "Access", "/access");
  const set = (name: string) => (value: string | null) => go(withQuery({ [name]: value }));
  const people = [...new Set(items.map(person))].slice(0, 20);
  return (
    <div class={chosen.value ? "page entries opened" : "page entries"}>
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
        <Trouble problem={problem} again={again} />
      ) : items.length === 0 && busy ? (
        <Waiting what="the access log" />
      ) : items.length === 0 ? (
        <Empty title="Nobody did that">
          <p>Take a filter away to see more of the log.</p>
        </Empty>
      ) : (
        <div class="entries-body">
          <Rows
            class="entry-rows"
            label={`Access log, latest first: ${count(items.length)} loaded`}
            count={items.length}
            height={ROW}
            handle={list}
            more={more}
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
    <div class={`entry-row ${chosen ? "chosen" : ""}`} role="listitem">
      <span class="number soft" title={whole(entry.time)}>
        {when(entry.time)}
      </span>
      <button type="button" class="entry-main" aria-pressed={chosen} onClick={choose}>
        <span>
          <strong>{plain(person(entry))}</strong> {ACTIONS[entry.action] ?? plain(entry.action)} {plain(entry.object)} {tone && <span class={`badge ${tone}`}>{plain(entry.reason || entry.outcome)}</span>}
        </span>
        <small class="soft">{plain(question(entry.filter))}</small>
      </button>
      <span class="soft number entry-size">{entry.rows > 0 ? `${count(entry.rows)} rows · ${bytes(entry.bytes)}` : ""}</span>
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
  const said = Object.entries(entry).filter(([, value]) => value !== "" && value !== NIL);
  return (
    <OpenedEntry title="Entry" close={close}>
      <Fields of={said.map(([name, value]) => [name.replaceAll("_", " "), plain(String(value))])} />
    </OpenedEntry>
  );
}
