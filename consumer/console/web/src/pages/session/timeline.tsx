// The session at a glance: each call a bar from its request to its answer, in the first lane that was free; marks above for
// what is no call; the playhead. One canvas, however many calls.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Call } from "../../api/types";
import { between, clock, count, many, span } from "../../format";
import { plain } from "../../parts/text";
import { colour, theme } from "../../theme";
import type { Player } from "./player";
import { lower, type Span, type Tape } from "./tape";

const TOP = 22;
const MOST_LANES = 8;
/** Few calls at once leave room for tall lanes. */
const laneOf = (lanes: number): number => Math.max(14, Math.round(26 / lanes));
const FINE = ["answered", "accepted"];

export const toneOf = (call: Call): "ok" | "bad" | "warn" =>
  FINE.includes(call.outcome) ? "ok" : call.outcome === "open" || call.outcome === "unknown" ? "warn" : "bad";

export const latency = (call: Call): string => (call.finished === null ? "open" : span(between(call.started, call.finished)));

interface TimelineProps {
  tape: Tape;
  player: Player;
  choose: (index: number) => void;
}

export function Timeline({ tape, player, choose }: TimelineProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const view = useSignal<{ from: number; to: number } | undefined>(undefined);
  const hover = useSignal<{ x: number; y: number; span: Span } | undefined>(undefined);
  const lanes = Math.min((tape.version.value, tape.lanes), MOST_LANES);
  const lane = laneOf(lanes);
  const height = TOP + lanes * lane + 8;

  const range = () => view.value ?? { from: 0, to: Math.max(player.end, 1) };
  const place = (at: number) => {
    const { from, to } = range();
    return ((at - from) / (to - from)) * width.value;
  };
  const moment = (x: number) => {
    const { from, to } = range();
    return from + (x / Math.max(1, width.value)) * (to - from);
  };

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(() => (width.value = element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const picture = useSignal<HTMLCanvasElement | undefined>(undefined);
  useSignalEffect(() => {
    void [tape.version.value, theme.value, player.skip.value];
    if (width.value > 0) picture.value = paint(width.value, height, tape, player, place, range());
  });
  useSignalEffect(() => {
    const head = Math.round(place(Math.max(0, player.at.value)));
    if (canvas.current && picture.value) draw(canvas.current, picture.value, Math.min(width.value - 1, Math.max(0, head)));
  });

  const under = (event: PointerEvent): Span | undefined => {
    const row = Math.floor((event.offsetY - TOP) / lane);
    const at = event.offsetX;
    const near = tape.spans.filter((one) => Math.min(one.lane, MOST_LANES - 1) === row);
    return near.find((one) => place(player.on(one.from)) - 3 <= at && place(player.on(one.to)) + 5 >= at);
  };
  const zoom = (factor: number, around = player.at.peek()) => {
    const { from, to } = range();
    const [start, end] = [around - (around - from) * factor, around + (to - around) * factor];
    const all = player.end;
    view.value = end - start >= all ? undefined : { from: Math.max(0, start), to: Math.min(all, end) };
  };
  const heard = player.heard.value;
  return (
    <div class="timeline">
      <canvas
        ref={canvas}
        style={{ height: `${height}px` }}
        tabIndex={0}
        role="slider"
        aria-label="Place on the tape"
        aria-valuemin={0}
        aria-valuemax={tape.count}
        aria-valuenow={heard}
        aria-valuetext={`${clock(player.moment.value)}, ${count(heard)} of ${many(tape.count, "frame")}`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          player.playing.value = false;
          const on = under(event);
          if (on) {
            const index = tape.indexAt(on.from);
            player.toIndex(Math.max(index + 1, tape.indexAt(on.to) + 1));
            choose(index);
          } else player.seek(moment(event.offsetX));
        }}
        onPointerMove={(event) => {
          if (event.buttons === 1 && !hover.value) player.seek(moment(event.offsetX));
          const on = event.buttons === 0 ? under(event) : undefined;
          hover.value = on && { x: event.offsetX, y: event.offsetY, span: on };
        }}
        onPointerLeave={() => (hover.value = undefined)}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.metaKey) return;
          event.preventDefault();
          zoom(event.deltaY > 0 ? 1.25 : 0.8, moment(event.offsetX));
        }}
      />
      {hover.value && <Tip {...hover.value} width={width.value} />}
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" class="quiet" aria-label="Zoom out" onClick={() => zoom(2)}>
          −
        </button>
        <button type="button" class="quiet" aria-label="Show all" disabled={!view.value} onClick={() => (view.value = undefined)}>
          Fit
        </button>
        <button type="button" class="quiet" aria-label="Zoom in" onClick={() => zoom(0.5)}>
          +
        </button>
      </div>
    </div>
  );
}

function Tip({ x, y, span: { call, from }, width }: { x: number; y: number; span: Span; width: number }) {
  return (
    <div class="tip" style={{ left: `${Math.min(x, width - 200)}px`, top: `${y + 14}px` }}>
      <strong>{plain(call.name || call.method)}</strong>
      <span>
        {clock(from)} · {latency(call)} · {call.outcome}
      </span>
    </div>
  );
}

type Place = (at: number) => number;

/** The picture with the playhead: what is still to come is pale. Cheap, since it is done for each frame of a tape that plays. */
function draw(canvas: HTMLCanvasElement, picture: HTMLCanvasElement, head: number): void {
  const ratio = devicePixelRatio;
  canvas.width = picture.width;
  canvas.height = picture.height;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const [split, tall] = [head * ratio, picture.height];
  if (split > 0) pen.drawImage(picture, 0, 0, split, tall, 0, 0, split, tall);
  pen.globalAlpha = 0.32;
  pen.drawImage(picture, split, 0, picture.width - split, tall, split, 0, picture.width - split, tall);
  pen.globalAlpha = 1;
  pen.scale(ratio, ratio);
  pen.fillStyle = colour("ink");
  pen.fillRect(head - 1, 0, 2, tall / ratio);
  pen.beginPath();
  pen.arc(head, 4, 4, 0, 7);
  pen.fill();
}

/** All calls and marks of a stretch of the tape, as they are when all of it has been heard. */
function paint(width: number, tall: number, tape: Tape, player: Player, place: Place, range: { from: number; to: number }): HTMLCanvasElement {
  const ratio = devicePixelRatio;
  const picture = document.createElement("canvas");
  picture.width = width * ratio;
  picture.height = tall * ratio;
  const pen = picture.getContext("2d");
  if (!pen) return picture;
  pen.scale(ratio, ratio);
  const colours = Object.fromEntries(["line", "soft", "accent", "bad", "warn", "ok"].map((name) => [name, colour(name)]));
  const take = (name: string) => (pen.fillStyle = colours[name] ?? "gray");
  const lanes = Math.min(tape.lanes, MOST_LANES);
  const high = laneOf(lanes);

  take("line");
  for (let lane = 0; lane <= lanes; lane += 1) pen.fillRect(0, TOP + lane * high, width, 1);

  // Calls: where several would share a pixel, the one that went wrong is drawn last.
  const least = Math.min(3, Math.max(1, width / tape.spans.length));
  for (const wanted of ["ok", "warn", "bad"] as const) {
    take(wanted);
    for (const one of tape.spans) {
      if (toneOf(one.call) !== wanted) continue;
      const [from, to] = [player.on(one.from), player.on(one.to)];
      if (to < range.from || from > range.to) continue;
      const x = place(from);
      const lane = Math.min(one.lane, MOST_LANES - 1);
      pen.beginPath();
      pen.roundRect(x, TOP + lane * high + 4, Math.max(least, place(to) - x), high - 7, least > 2 ? 4 : 0);
      pen.fill();
    }
  }
  // Marks: at most one of a kind for each pixel.
  const last = new Map<string, number>();
  const clocks = player.clock;
  const end = lower(clocks, range.to) + 1;
  for (let index = lower(clocks, range.from); index < Math.min(end, tape.count); index += 1) {
    const mark = tape.marks[index] ?? "-";
    const [name, size] = mark === "g" || mark === "t" ? ["warn", 10] : mark === "x" || mark === "e" ? ["bad", 7] : mark === "p" ? ["accent", 4] : mark === "q" || mark === "r" ? ["soft", 3] : ["line", 2];
    const x = Math.round(place(clocks[index] ?? 0));
    if (last.get(mark) === x) continue;
    last.set(mark, x);
    take(String(name));
    pen.fillRect(x, TOP - 4 - Number(size), 2, Number(size));
  }
  return picture;
}
