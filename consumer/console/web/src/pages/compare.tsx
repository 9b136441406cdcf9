// Two calls, or two sessions, side by side, with what differs.
import { signal } from "@preact/signals";
import { ask } from "../api/ask";
import { useLoaded } from "../api/load";
import type { Call, Page, Session } from "../api/types";
import { many, person, whole } from "../format";
import { Empty, Trouble, Waiting } from "../parts/states";
import { pretty } from "../parts/json";
import { plain } from "../parts/text";
import { go, Link, query } from "../route";
import { tell } from "../tell";
import { align, type Pair } from "./diff";
import { opened, type Opened } from "./session/detail";
import { Tape } from "./session/tape";
import { latency, toneOf } from "./session/timeline";

type Kind = "call" | "session";

/** What waits for another to be compared with. */
export const pinned = signal<{ what: string; kind: Kind } | undefined>(undefined);

/** Keeps the first of two; with the second, goes to see them side by side. */
export function pin(what: string, kind: Kind): void {
  const first = pinned.peek();
  if (first?.kind === kind && first.what !== what) {
    pinned.value = undefined;
    go(`/compare?a=${first.what}&b=${what}`);
  } else {
    pinned.value = { what, kind };
    tell(`Kept. Press c at another ${kind} to see both side by side.`);
  }
}

export function ComparePage() {
  const [a, b] = [query.value.get("a"), query.value.get("b")];
  if (!a || !b) {
    return (
      <Empty title="Nothing to compare yet" top>
        <p>
          Press <kbd>c</kbd> at one call and again at another, in the same session or any. In the list of sessions, <kbd>c</kbd> does the same for whole
          sessions.
        </p>
      </Empty>
    );
  }
  return a.includes(".") && b.includes(".") ? <Calls a={a} b={b} /> : <Sessions a={a} b={b} />;
}

async function call(at: string): Promise<Opened | undefined> {
  const [id = "", number = ""] = at.split(".");
  const tape = new Tape(id);
  await tape.open(Number(number));
  if (tape.problem.peek() !== undefined) throw new Error(tape.problem.peek()?.detail);
  return opened(tape, tape.indexOf(Number(number)));
}

function Calls({ a, b }: { a: string; b: string }) {
  const { value, problem } = useLoaded(`${a} ${b}`, () => Promise.all([call(a), call(b)])).value;
  if (problem) return <Trouble problem={problem} />;
  if (!value) return <Waiting what="both calls" />;
  const [one, other] = value;
  if (!one || !other) return <Empty title="One of the calls is not there" />;
  return (
    <div class="compare">
      <h1>Two calls</h1>
      <div class="side-by-side">
        <CallTitle opened={one} at={a} />
        <CallTitle opened={other} at={b} />
      </div>
      <h2>Requests</h2>
      <Differences pairs={align(lines(one.request?.payload), lines(other.request?.payload))} />
      <h2>Answers</h2>
      <Differences pairs={align(lines(one.answer?.payload), lines(other.answer?.payload))} />
    </div>
  );
}

const lines = (payload: string | undefined): string[] => (payload === undefined ? ["(none)"] : pretty(payload).split("\n"));

function CallTitle({ opened: { call, frame }, at }: { opened: Opened; at: string }) {
  const [id = "", number = ""] = at.split(".");
  return (
    <p>
      <Link to={`/sessions/${id}?frame=${number}`}>
        <strong>{plain(call?.name || call?.method || frame.rpc_method || frame.kind)}</strong>
      </Link>{" "}
      {call && (
        <>
          <span class={`badge ${toneOf(call)}`}>{call.outcome}</span> <span class="number">{latency(call)}</span>
        </>
      )}
      <br />
      <span class="soft">{whole(frame.time)}</span>
    </p>
  );
}

function Differences({ pairs }: { pairs: Pair[] }) {
  if (pairs.every((pair) => pair.same)) return <p class="soft">The same, to the last character.</p>;
  return (
    <div class="differences" role="region" aria-label="Differences" tabIndex={0}>
      <table>
        <tbody>
          {pairs.map((pair, index) => (
            <tr key={index} class={pair.same ? "" : "differs"}>
              <td class={pair.left === undefined ? "none" : "was"}>{plain(pair.left ?? "")}</td>
              <td class={pair.right === undefined ? "none" : "is"}>{plain(pair.right ?? "")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface Side {
  session: Session;
  calls: Call[];
}

async function side(id: string, given: AbortSignal): Promise<Side> {
  const session = await ask<Session>(`/sessions/${id}`, {}, given);
  const page = await ask<Page<Call>>(`/sessions/${id}/calls`, { limit: 1000 }, given);
  return { session, calls: page.items };
}

function Sessions({ a, b }: { a: string; b: string }) {
  const { value, problem } = useLoaded(`${a} ${b}`, (given) => Promise.all([side(a, given), side(b, given)])).value;
  if (problem) return <Trouble problem={problem} />;
  if (!value) return <Waiting what="both sessions" />;
  const [one, other] = value;
  const name = (call: Call) => call.name || call.method;
  const pairs = align(one.calls.map(name), other.calls.map(name));
  let [left, right] = [0, 0];
  const rows = pairs.map((pair) => ({
    pair,
    left: pair.left === undefined ? undefined : one.calls[left++],
    right: pair.right === undefined ? undefined : other.calls[right++],
  }));
  return (
    <div class="compare">
      <h1>Two sessions</h1>
      <div class="side-by-side">
        {value.map(({ session, calls }) => (
          <p key={session.session_id}>
            <Link to={`/sessions/${session.session_id}`}>
              <strong>
                {plain(person(session))} on {plain(session.target)}
              </strong>
            </Link>
            <br />
            <span class="soft">
              {whole(session.started)} · {many(calls.length, "call")} · {many(session.errors, "error")}
            </span>
          </p>
        ))}
      </div>
      <div class="differences" role="region" aria-label="Calls of both sessions" tabIndex={0}>
        <table>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index} class={row.pair.same ? "" : "differs"}>
                <CallCell call={row.left} />
                <CallCell call={row.right} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function CallCell({ call }: { call: Call | undefined }) {
  if (!call) return <td class="none" />;
  return (
    <td>
      {plain(call.name || call.method)} <span class={`badge ${toneOf(call)}`}>{call.outcome}</span> <span class="number soft">{latency(call)}</span>
    </td>
  );
}
