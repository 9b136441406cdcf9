// Sessions: filters, volume over time, and a table that keeps up with what is recorded.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { address, ask, isGivenUp, me } from "../api/ask";
import { problemOf, useLoaded } from "../api/load";
import { stream } from "../api/stream";
import type { Count, Facets, Page, Problem, Session, Statistics } from "../api/types";
import { bytes, compact, count, many, person, span, when, whole } from "../format";
import { useKeys } from "../keys";
import { Facet, type Choice } from "../parts/facet";
import { Icon } from "../parts/icon";
import { Rows, type RowsHandle } from "../parts/rows";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain } from "../parts/text";
import { go, Link, query, withQuery } from "../route";
import { pin } from "./compare";
import { asked, FILTERS, TIMES, TITLES, USUAL, type FilterName } from "./sessions/filter";
import { Volume } from "./sessions/volume";

const ROW = 56;
const PAGE = 100;

/** Pages of sessions that fit, one after the other. */
class Listing {
  readonly items = signal<Session[]>([]);
  readonly problem = signal<Problem | undefined>(undefined);
  readonly busy = signal(true);
  /** Sessions that have begun since, and are not in the list. */
  readonly newer = signal<ReadonlySet<string>>(new Set());
  private next: string | null = null;
  private readonly controller = new AbortController();

  constructor(private readonly parameters: Record<string, string | undefined>) {
    void this.read(null);
  }

  close(): void {
    this.controller.abort();
  }

  more(): void {
    if (!this.busy.peek() && this.next !== null) void this.read(this.next);
  }

  private async read(cursor: string | null): Promise<void> {
    this.busy.value = true;
    try {
      const page = await ask<Page<Session>>("/sessions", { ...this.parameters, limit: PAGE, cursor }, this.controller.signal);
      this.items.value = [...this.items.peek(), ...page.items];
      this.next = page.next;
      this.busy.value = false;
      // A page may be short although there are more.
      if (this.items.peek().length < PAGE) this.more();
    } catch (error) {
      if (isGivenUp(error)) return;
      this.problem.value = problemOf(error);
      this.busy.value = false;
    }
  }

  /** A session that began or went on. One that fits no filter but the time's is new in the list. */
  heard(session: Session, isUnfiltered: boolean): void {
    const items = this.items.peek();
    const at = items.findIndex((one) => one.session_id === session.session_id);
    if (at >= 0) this.items.value = items.with(at, session);
    else if (this.busy.peek() || session.started <= (items[0]?.started ?? "")) return;
    else if (isUnfiltered) this.items.value = [session, ...items];
    else this.newer.value = new Set(this.newer.peek()).add(session.session_id);
  }
}

export function SessionsPage() {
  const again = useSignal(0);
  const key = asked(0).key + again.value;
  const now = useMemo(() => Date.now(), [key]);
  const { parameters } = asked(now);
  const listing = useMemo(() => new Listing(parameters), [key]);
  useEffect(() => () => listing.close(), [listing]);
  const facets = useLoaded(key, (given) => ask<Facets>("/facets", parameters, given));
  const counted = useLoaded(key, (given) => ask<Count>("/sessions/count", parameters, given));
  const statistics = useLoaded(key, (given) => ask<Statistics>("/statistics", parameters, given));
  const chosen = useSignal(-1);
  const list = useRef<RowsHandle>(null);
  const search = useRef<HTMLInputElement>(null);
  const filters = FILTERS.filter((name) => parameters[name] !== undefined);
  const isUnfiltered = filters.length === 0 && parameters["text"] === undefined && parameters["to"] === undefined;

  useEffect(() => {
    const live = stream<Session>(address("/live"), "session", (session) => listing.heard(session, isUnfiltered));
    return () => live.close();
  }, [listing]);

  const items = listing.items.value;
  const move = (by: number) => {
    chosen.value = Math.min(Math.max(0, chosen.peek() + by), listing.items.peek().length - 1);
    list.current?.show(chosen.peek());
  };
  const at = () => listing.items.peek()[chosen.peek()];
  useKeys(() => {
    const bind = (keys: string, does: string, run: () => void) => ({ keys, does, run, group: "Sessions" });
    const open = () => at() && go(`/sessions/${at()?.session_id}`);
    return [
      bind("j", "Next session", () => move(1)),
      bind("k", "Session before", () => move(-1)),
      bind("ArrowDown", "Next session", () => move(1)),
      bind("ArrowUp", "Session before", () => move(-1)),
      bind("Enter", "Open the session", open),
      bind("o", "Open the session", open),
      bind("c", "Compare the session with another", () => at() && pin(at()?.session_id ?? "", "session")),
      bind("/", "Search in what was said", () => search.current?.focus()),
      bind("u", "Look again", () => (again.value += 1)),
      bind("Escape", "Clear all filters", () => go("/sessions")),
    ];
  }, [listing]);

  const brush = (from: number, to: number) => go(withQuery({ from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), time: null }));
  return (
    <div class="page sessions">
      <h1 class="unseen">Sessions</h1>
      <Filters facets={facets.value.value} counted={counted.value.value} search={search} />
      <div class="volume">
        {statistics.value.value ? (
          <Volume statistics={statistics.value.value} from={Date.parse(parameters["from"] ?? "")} to={parameters["to"] ? Date.parse(parameters["to"]) : now} brush={brush} />
        ) : (
          <div class="chart-bone" />
        )}
      </div>
      {listing.newer.value.size > 0 && (
        <button type="button" class="newer" onClick={() => (again.value += 1)}>
          {many(listing.newer.value.size, "newer session")} may fit. Look again
        </button>
      )}
      <Table listing={listing} items={items} chosen={chosen.value} list={list} again={() => (again.value += 1)} />
    </div>
  );
}

interface FiltersProps {
  facets: Facets | undefined;
  counted: Count | undefined;
  search: { current: HTMLInputElement | null };
}

function Filters({ facets, counted, search }: FiltersProps) {
  const text = query.value.get("text") ?? "";
  const hasTenants = (me.value?.roles ?? []).some((role) => role !== "viewer");
  const names = FILTERS.filter((name) => name !== "tenant" || hasTenants);
  const choices = (name: FilterName): Choice[] => {
    const values = facets?.values.filter((value) => value.facet === name) ?? [];
    const label = (value: string) => (name === "outcome" ? { label: value === "ok" ? "All went well" : "Something failed" } : {});
    return values.map(({ value, sessions }) => ({ value, sessions, ...label(value) }));
  };
  const [from, to] = [query.value.get("from"), query.value.get("to")];
  const times = Object.entries(TIMES).map(([value, { title }]) => ({ value, label: title }));
  const brushed = from && to ? [{ value: "brushed", label: `${when(from)} – ${when(to)}` }] : [];
  const any = [...query.value.keys()].length > 0;
  return (
    <div class="filters">
      <form
        class="search"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          go(withQuery({ text: search.current?.value.trim() ?? null }));
        }}
      >
        <Icon name="search" />
        <input ref={search} type="search" key={text} defaultValue={text} placeholder="Search in what was said" aria-label="Search in what was said" maxLength={512} />
      </form>
      <Facet
        name="Time"
        free={false}
        value={brushed.length > 0 ? "brushed" : (query.value.get("time") ?? USUAL)}
        choices={[...brushed, ...times]}
        choose={(value) => value !== "brushed" && go(withQuery({ time: value === USUAL ? null : value, from: null, to: null }))}
      />
      {names.map((name) => (
        <Facet key={name} name={TITLES[name]} value={query.value.get(name) ?? ""} choices={choices(name)} free={name !== "outcome"} choose={(value) => go(withQuery({ [name]: value }))} />
      ))}
      {any && (
        <Link class="button quiet" to="/sessions">
          Clear
        </Link>
      )}
      {counted && <span class="soft number">{counted.is_more ? `more than ${many(counted.sessions, "session")}` : many(counted.sessions, "session")}</span>}
    </div>
  );
}

interface TableProps {
  listing: Listing;
  items: Session[];
  chosen: number;
  list: { current: RowsHandle | null };
  again: () => void;
}

function Table({ listing, items, chosen, list, again }: TableProps) {
  const problem = listing.problem.value;
  if (problem) return <Trouble problem={problem} again={again} />;
  if (items.length === 0 && listing.busy.value) return <Waiting what="sessions" />;
  if (items.length === 0) {
    return (
      <Empty title="No session fits">
        <p>Take a filter away, or look further back.</p>
        <Link class="button" to={withQuery({ time: "400d", from: null, to: null })}>
          Look at all times
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <div class="session-row head" aria-hidden="true">
        <span>When</span>
        <span>Who</span>
        <span>Target</span>
        <span>Tools</span>
        <span class="right">Calls</span>
        <span class="right">Errors</span>
        <span class="right">Size</span>
      </div>
      <Rows
        class="session-rows"
        label={`Sessions, newest first: ${count(items.length)} loaded`}
        count={items.length}
        height={ROW}
        handle={list}
        more={() => listing.more()}
        row={(index) => <Row key={items[index]?.session_id} session={items[index]} chosen={index === chosen} />}
      />
    </>
  );
}

function Row({ session, chosen }: { session: Session | undefined; chosen: boolean }) {
  if (!session) return <div class="session-row" role="listitem" />;
  const lasted = Date.parse(session.latest) - Date.parse(session.started);
  const tools = session.names.slice(0, 3).map(plain).join(", ");
  const rest = session.names.length - 3;
  const who = person(session);
  return (
    <div class={`session-row ${chosen ? "chosen" : ""}`} role="listitem">
      <span class="when" title={whole(session.started)}>
        <Link to={`/sessions/${session.session_id}`}>
          <span class="unseen">Session of {plain(who)}, </span>
          {when(session.started)}
        </Link>
        <small class="soft number">{span(lasted)}</small>
      </span>
      <span class="who">
        {plain(who)}
        <small class="soft">{plain(session.client_name)}</small>
      </span>
      <span class="target">
        {plain(session.target)}
        <small class="soft">{plain(session.tenant)}</small>
      </span>
      <span class="tools soft">
        {tools || "–"}
        {rest > 0 && ` and ${rest} more`}
      </span>
      <span class="right number calls">
        {compact(session.calls)}
        <small class="unseen"> calls</small>
      </span>
      <span class="right number errors">{session.errors > 0 ? <span class="badge bad">{compact(session.errors)}</span> : <span class="soft">0</span>}</span>
      <span class="right number soft size">{bytes(session.bytes)}</span>
    </div>
  );
}
