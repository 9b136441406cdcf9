// One session: a player of what was said.
import { computed, effect, signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask } from "../api/ask";
import { useLoaded } from "../api/load";
import type { Hit, Page } from "../api/types";
import { clock, count, many, microseconds, person, short, span, whole } from "../format";
import { useKeys } from "../keys";
import { Icon } from "../parts/icon";
import type { RowsHandle } from "../parts/rows";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain, Said } from "../parts/text";
import { go, Link, query, withQuery } from "../route";
import { tell } from "../tell";
import { Detail } from "./session/detail";
import { Frames } from "./session/frames";
import { QUIET, WRONG } from "./session/marks";
import { Player, SPEEDS } from "./session/player";
import { lower, Tape } from "./session/tape";
import { Timeline } from "./session/timeline";
import { pin } from "./compare";

/** A session whose latest frame is younger is still going on. */
const OPEN_FOR = 120_000;

export function SessionPage({ id }: { id: string }) {
  const tape = useMemo(() => new Tape(id), [id]);
  useEffect(() => {
    void tape.open(Number(query.peek().get("frame") ?? 0));
    return () => tape.close();
  }, [tape]);
  const problem = tape.problem.value;
  if (problem && !tape.ready.value) return <Trouble problem={problem} again={() => location.reload()} />;
  if (!tape.ready.value) return <Waiting what="the session" />;
  if (tape.count === 0) {
    return (
      <Empty title="Nothing was recorded">
        <p>The session is known, and holds no frame.</p>
      </Empty>
    );
  }
  return <Deck key={id} tape={tape} />;
}

/** Where a link points to: a frame's number. */
function linked(tape: Tape): number | undefined {
  const number = Number(query.peek().get("frame"));
  return Number.isInteger(number) && number > 0 ? Math.min(tape.indexOf(number), tape.count - 1) : undefined;
}

function Deck({ tape }: { tape: Tape }) {
  const to = useMemo(() => linked(tape), [tape]);
  const player = useMemo(() => new Player(tape, to === undefined ? undefined : to + 1), [tape]);
  const chosen = useSignal<number | undefined>(to);
  const raw = useSignal(false);
  const quiet = useSignal(false);
  const find = useSignal("");
  const list = useRef<RowsHandle>(null);
  const search = useRef<HTMLInputElement>(null);

  /** Places of the outline that the list shows, whether or not they have been heard. */
  const readable = useMemo(
    () =>
      computed(() => {
        void tape.version.value;
        const places: number[] = [];
        tape.marks.forEach((mark, index) => {
          if (quiet.value || !QUIET.includes(mark)) places.push(index);
        });
        return places;
      }),
    [tape],
  );
  const heard = lower(readable.value, player.heard.value);
  const places = heard === readable.value.length ? readable.value : readable.value.slice(0, heard);

  usePlaying(player);
  useFollowing(tape, player);
  // What has just been heard is in sight; a tape that is at its end may be read from the top.
  const before = useRef(places.length);
  useEffect(() => {
    const wasAtEnd = list.current?.sees(before.current - 1) === true;
    if (player.playing.peek() || !player.isAtEnd.peek() || wasAtEnd) list.current?.show(places.length - 1);
    before.current = places.length;
  }, [places.length]);
  useEffect(() => {
    if (to !== undefined) list.current?.show(lower(readable.peek(), to), "center");
  }, [list.current !== null]);

  const choose = (index: number | undefined) => {
    chosen.value = index;
    if (index === undefined) return;
    if (index >= player.heard.peek()) player.toIndex(index + 1);
    list.current?.show(lower(readable.peek(), index));
  };
  const move = (by: number) => {
    const at = chosen.peek() === undefined ? (by > 0 ? -1 : places.length) : lower(places, chosen.peek() ?? 0);
    const next = places[Math.min(Math.max(0, at + by), places.length - 1)];
    if (next !== undefined) choose(next);
  };
  const wrong = (direction: 1 | -1) => {
    const from = chosen.peek() ?? (direction > 0 ? -1 : tape.count);
    for (let index = from + direction; index >= 0 && index < tape.count; index += direction) {
      if (WRONG.includes(tape.marks[index] ?? "-")) return choose(index);
    }
    tell(direction > 0 ? "Nothing went wrong after this." : "Nothing went wrong before this.");
  };
  const copy = () => {
    const number = tape.numbers[chosen.peek() ?? Math.max(0, player.heard.peek() - 1)];
    const link = new URL(withQuery({ frame: String(number) }), location.href);
    go(link.pathname + link.search, true);
    navigator.clipboard.writeText(link.href).then(
      () => tell("A link to this moment is copied."),
      () => tell("The link is in the address bar."),
    );
  };
  const compare = () => {
    const index = chosen.peek();
    if (index !== undefined) pin(`${tape.id}.${tape.numbers[index]}`, "call");
  };
  const close = () => {
    if (chosen.peek() !== undefined) choose(undefined);
    else find.value = "";
  };

  useKeys(() => {
    const bind = (keys: string, does: string, run: () => void) => ({ keys, does, run, group: "Session" });
    return [
      bind("Space", "Play or pause", () => player.toggle()),
      bind("ArrowLeft", "One frame back", () => player.step(-1)),
      bind("ArrowRight", "One frame on", () => player.step(1)),
      bind("Home", "To the beginning", () => player.toIndex(0)),
      bind("End", "To the end", () => player.toIndex(tape.count)),
      bind("[", "Slower", () => player.faster(-1)),
      bind("]", "Faster", () => player.faster(1)),
      bind("i", "Skip idle time, or do not", () => player.toggleSkip()),
      bind("j", "Open the next frame", () => move(1)),
      bind("k", "Open the frame before", () => move(-1)),
      bind("ArrowDown", "Open the next frame", () => move(1)),
      bind("ArrowUp", "Open the frame before", () => move(-1)),
      bind("e", "Next thing that went wrong", () => wrong(1)),
      bind("E", "The one before", () => wrong(-1)),
      bind("r", "Raw JSON, or readable", () => (raw.value = !raw.peek())),
      bind("h", "Show the recorder's own events, or hide them", () => (quiet.value = !quiet.peek())),
      bind("f", "Follow what is recorded now", () => (tape.tail.peek() ? tape.unfollow() : tape.follow())),
      bind("y", "Copy a link to this moment", copy),
      bind("c", "Compare this call with another", compare),
      bind("/", "Search in this session", () => search.current?.focus()),
      bind("Escape", "Close", close),
    ];
  }, [tape, places]);

  return (
    <div class={chosen.value === undefined ? "session" : "session opened"}>
      <Head tape={tape} />
      <Controls tape={tape} player={player} find={find} search={search} quiet={quiet} />
      <Timeline tape={tape} player={player} choose={choose} />
      {tape.problem.value && (
        <p class="strip bad" role="alert">
          {tape.problem.value.detail}
        </p>
      )}
      <div class="session-body">
        {find.value !== "" ? (
          <Hits tape={tape} text={find.value} choose={choose} />
        ) : (
          <div class="frames-box">
            <Frames tape={tape} places={places} chosen={chosen.value} find={find.value} handle={list} choose={choose} />
            {heard < readable.value.length && (
              <p class="to-come" role="status">
                {many(readable.value.length - heard, "frame")} to come
              </p>
            )}
          </div>
        )}
        {chosen.value !== undefined && (
          <Detail tape={tape} player={player} index={chosen.value} raw={raw.value} find={find.value} close={close} compare={compare} copy={copy} toggleRaw={() => (raw.value = !raw.peek())} />
        )}
      </div>
    </div>
  );
}

/** Moves the tape while it plays, once for each picture that the browser paints. */
function usePlaying(player: Player): void {
  useEffect(
    () =>
      effect(() => {
        if (!player.playing.value) return;
        let before = performance.now();
        let request = requestAnimationFrame(function next(now: number) {
          // A tab that was in the background does not catch up.
          const passed = Math.min(now - before, 250);
          before = now;
          if (player.advance(passed)) request = requestAnimationFrame(next);
        });
        return () => cancelAnimationFrame(request);
      }),
    [player],
  );
}

/** A tape at its end stays there as it grows; one of a session that goes on is followed from the start. */
function useFollowing(tape: Tape, player: Player): void {
  useEffect(() => {
    const stop = effect(() => {
      const latest = tape.session.peek()?.latest;
      if (tape.isWhole.value && latest !== undefined && Date.now() - Date.parse(latest) < OPEN_FOR) tape.follow();
    });
    let known = tape.count;
    const stay = effect(() => {
      void tape.version.value;
      const wasAtEnd = player.heard.peek() >= known;
      if (tape.count > known && wasAtEnd) player.toIndex(tape.count);
      known = tape.count;
    });
    return () => {
      stop();
      stay();
    };
  }, [tape]);
}

function Head({ tape }: { tape: Tape }) {
  const session = tape.session.value;
  void tape.version.value;
  if (!session) return null;
  const broken = tape.marks.filter((mark) => mark === "t").length;
  const gaps = tape.marks.filter((mark) => mark === "g").length;
  const tail = tape.tail.value;
  return (
    <header class="session-head">
      <h1>
        {plain(person(session))} <span class="soft">on</span> {plain(session.target)}
      </h1>
      <p class="facts">
        <span>{whole(session.started)}</span>
        <span>{span(tape.real.at(-1) ?? 0)}</span>
        <span>{many(tape.spans.length, "call")}</span>
        {session.client_name && <span>{plain(session.client_name)}</span>}
        <span>{plain(session.client_addresses.join(", "))}</span>
        {session.revision && <span>MCP {plain(session.revision)}</span>}
        <span class="number" title={session.session_id}>
          …{short(session.session_id)}
        </span>
      </p>
      <p class="badges">
        {broken > 0 ? <span class="badge bad">{many(broken, "frame")} not intact</span> : <span class="badge ok">chain intact</span>}
        {gaps > 0 && <span class="badge warn">{many(gaps, "gap")}</span>}
        {session.errors > 0 && <span class="badge bad">{many(session.errors, "error")}</span>}
        {session.shared && <span class="badge warn">several clients, not told apart</span>}
        <button type="button" class={tail ? "badge live" : "badge"} aria-pressed={tail !== undefined} onClick={() => (tail ? tape.unfollow() : tape.follow())}>
          {tail ? (tail.state.value === "open" ? "following" : tail.state.value === "lost" ? "no longer following" : "connecting…") : "follow"}
        </button>
        <Link class="badge" to={`/access?session=${tape.id}`}>
          who looked
        </Link>
      </p>
    </header>
  );
}

interface ControlsProps {
  tape: Tape;
  player: Player;
  find: ReturnType<typeof signal<string>>;
  search: { current: HTMLInputElement | null };
  quiet: ReturnType<typeof signal<boolean>>;
}

function Controls({ tape, player, find, search, quiet }: ControlsProps) {
  const heard = player.heard.value;
  const playing = player.playing.value;
  return (
    <div class="controls" role="toolbar" aria-label="Player">
      <button type="button" class="quiet" aria-label="One frame back" onClick={() => player.step(-1)}>
        <Icon name="back" />
      </button>
      <button type="button" class="play" aria-label={playing ? "Pause" : "Play"} onClick={() => player.toggle()}>
        <Icon name={playing ? "pause" : "play"} />
      </button>
      <button type="button" class="quiet" aria-label="One frame on" onClick={() => player.step(1)}>
        <Icon name="next" />
      </button>
      <span class="at number">
        {clock(player.moment.value)} <span class="soft">/ {clock(tape.real.at(-1) ?? 0)}</span>
      </span>
      <label class="speed">
        <span class="unseen">Speed</span>
        <select value={String(player.speed.value)} onChange={(event) => (player.speed.value = Number(event.currentTarget.value))}>
          {SPEEDS.map((speed) => (
            <option key={speed} value={String(speed)}>
              ×{speed}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="quiet" aria-pressed={player.skip.value} onClick={() => player.toggleSkip()} title="Skip idle time (i)">
        Skip idle
      </button>
      <button type="button" class="quiet" aria-pressed={quiet.value === true} onClick={() => (quiet.value = !quiet.peek())} title="The recorder's own events (h)">
        Events
      </button>
      <span class="soft number frames-heard">
        {count(heard)} / {many(tape.count, "frame")}
      </span>
      <span class="grow" />
      <form
        class="inside"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          find.value = search.current?.value.trim() ?? "";
        }}
      >
        <Icon name="search" />
        <input ref={search} type="search" placeholder="Search in this session" aria-label="Search in this session" maxLength={512} onInput={(event) => event.currentTarget.value === "" && (find.value = "")} />
      </form>
    </div>
  );
}

function Hits({ tape, text, choose }: { tape: Tape; text: string; choose: (index: number) => void }) {
  const session = tape.session.value;
  const from = session ? new Date(microseconds(session.started) / 1000 - 1000).toISOString() : undefined;
  const to = session ? new Date(microseconds(session.started) / 1000 + 1000).toISOString() : undefined;
  const found = useLoaded(`${tape.id} ${text}`, (given) => ask<Page<Hit>>("/search", { text, session: tape.id, from, to, limit: 200 }, given));
  const { value, problem, busy } = found.value;
  if (problem) return <Trouble problem={problem} />;
  if (busy || !value) return <Waiting what="what was found" />;
  const hits = value.items.toReversed();
  if (hits.length === 0) return <Empty title={`Nobody said “${text}”`}>{<p>In this session, upper and lower case alike.</p>}</Empty>;
  return (
    <ol class="hits" aria-label={`Frames with ${text}`}>
      {hits.map((hit) => (
        <li key={hit.session_seq}>
          <button type="button" onClick={() => choose(tape.indexOf(hit.session_seq))}>
            <span class="number soft">{clock(tape.real[tape.indexOf(hit.session_seq)] ?? 0)}</span>
            <strong>{plain(hit.name || hit.method)}</strong>
            <span class="excerpt">
              <Said text={hit.excerpt} find={text} />
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}
