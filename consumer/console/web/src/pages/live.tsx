// Live: the sessions that go on just now, and the tail of one.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { address } from "../api/ask";
import { stream, type Stream } from "../api/stream";
import type { Frame, Session } from "../api/types";
import { ago, clock, many, microseconds, person } from "../format";
import { useKeys } from "../keys";
import { Rows, type RowsHandle } from "../parts/rows";
import { Empty } from "../parts/states";
import { plain, Said } from "../parts/text";
import { go, Link, query, withQuery } from "../route";
import { markOf, MARKS, QUIET, WRONG } from "./session/marks";
import { summary } from "./session/summary";

/** A session that has been silent for longer is not shown as open. */
const OPEN_FOR = 5 * 60_000;
/** Frames of a tail that are kept in sight. */
const KEPT = 5000;
const ROW = 44;

export function LivePage() {
  const sessions = useSignal(new Map<string, Session>());
  const now = useSignal(Date.now());
  const live = useSignal<Stream | undefined>(undefined);
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    live.value = stream<Session>(address("/live"), "session", (session) => {
      sessions.value = new Map(sessions.peek()).set(session.session_id, session);
    });
    return () => {
      clearInterval(timer);
      live.peek()?.close();
    };
  }, []);
  const open = [...sessions.value.values()]
    .filter((session) => now.value - Date.parse(session.latest) < OPEN_FOR)
    .sort((one, other) => other.started.localeCompare(one.started));
  const chosen = query.value.get("session") ?? open[0]?.session_id;
  const choose = (id: string | undefined) => id !== undefined && go(withQuery({ session: id }), true);
  const move = (by: number) => {
    const at = open.findIndex((session) => session.session_id === chosen);
    choose(open[Math.min(Math.max(0, at + by), open.length - 1)]?.session_id);
  };
  useKeys(() => {
    const bind = (keys: string, does: string, run: () => void) => ({ keys, does, run, group: "Live" });
    return [
      bind("j", "Tail the next session", () => move(1)),
      bind("k", "Tail the session before", () => move(-1)),
      bind("ArrowDown", "Tail the next session", () => move(1)),
      bind("ArrowUp", "Tail the session before", () => move(-1)),
      bind("Enter", "Open it in the player", () => chosen && go(`/sessions/${chosen}`)),
    ];
  }, [open.length, chosen]);
  const state = live.value?.state.value ?? "connecting";
  return (
    <div class="page live">
      <h1>
        Live <span class={`pulse ${state}`} aria-hidden="true" /> <small class="soft">{state === "open" ? many(open.length, "open session") : state === "lost" ? "the stream has ended: reload to go on" : "connecting…"}</small>
      </h1>
      {open.length === 0 && !query.value.get("session") ? (
        <Empty title="It is quiet">
          <p>Sessions appear here as soon as somebody calls a tool.</p>
        </Empty>
      ) : (
        <div class="live-body">
          <ul class="open-sessions" aria-label="Open sessions">
            {open.map((session) => (
              <li key={session.session_id}>
                <button type="button" class={session.session_id === chosen ? "chosen" : ""} aria-pressed={session.session_id === chosen} onClick={() => choose(session.session_id)}>
                  <strong>{plain(person(session))}</strong>
                  <span>
                    {plain(session.target)} <span class="soft">{plain(session.client_name)}</span>
                  </span>
                  <small class="soft number">
                    {many(session.calls, "call")} · {ago(session.latest, now.value)}
                  </small>
                  {session.errors > 0 && <span class="badge bad">{many(session.errors, "error")}</span>}
                </button>
              </li>
            ))}
          </ul>
          {chosen && <Tail key={chosen} id={chosen} />}
        </div>
      )}
    </div>
  );
}

function Tail({ id }: { id: string }) {
  const frames = useMemo(() => signal<Frame[]>([]), [id]);
  const state = useSignal<Stream | undefined>(undefined);
  const list = useRef<RowsHandle>(null);
  useEffect(() => {
    // From the beginning: a tail says little without what came before.
    const tail = stream<Frame>(address(`/sessions/${id}/live`, { after: 0 }), "frame", (frame) => {
      if (!QUIET.includes(markOf(frame))) frames.value = [...frames.peek().slice(1 - KEPT), frame];
    });
    state.value = tail;
    return () => tail.close();
  }, [id]);
  const shown = frames.value;
  useEffect(() => list.current?.show(shown.length - 1, "end"), [shown.length]);
  const start = shown[0] ? microseconds(shown[0].time) : 0;
  return (
    <section class="tail" aria-label="Tail">
      <header>
        <h2>Tail</h2>
        <span class="soft">{state.value?.state.value === "lost" ? "ended" : many(shown.length, "frame")}</span>
        <span class="grow" />
        <Link class="button" to={`/sessions/${id}`}>
          Open in the player
        </Link>
      </header>
      <Rows
        class="frames"
        label="Frames as they are recorded"
        count={shown.length}
        height={ROW}
        handle={list}
        row={(index) => {
          const frame = shown[index];
          return frame ? <TailRow key={frame.session_seq} id={id} frame={frame} start={start} /> : <div />;
        }}
      />
    </section>
  );
}

function TailRow({ id, frame, start }: { id: string; frame: Frame; start: number }) {
  const mark = markOf(frame);
  const { title, said } = summary(frame, mark);
  const wrong = WRONG.includes(mark);
  return (
    <div class={`frame short mark-${mark} ${wrong ? "wrong" : ""}`} role="listitem">
      <span class="frame-time number">{clock((microseconds(frame.time) - start) / 1000)}</span>
      <span class="arrow" aria-hidden="true">
        {frame.direction === "to_target" ? "→" : frame.direction === "to_client" ? "←" : "·"}
      </span>
      <Link class="frame-main" to={`/sessions/${id}?frame=${frame.session_seq}`}>
        <span class="frame-title">
          <span class="unseen">{MARKS[mark]}: </span>
          {plain(title)}
          {wrong && <span class="badge bad">{MARKS[mark]}</span>}
        </span>
        <span class="frame-said">
          <Said text={said} />
        </span>
      </Link>
    </div>
  );
}
