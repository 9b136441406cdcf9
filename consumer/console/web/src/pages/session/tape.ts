// One session, as far as it is known: its outline, which says when each frame was; its calls; and frames, fetched by the
// hundred where somebody looks.
import { signal } from "@preact/signals";
import { address, ask, isGivenUp } from "../../api/ask";
import { problemOf } from "../../api/load";
import { stream, type Stream } from "../../api/stream";
import type { Call, Frame, FramePage, Outline, Page, Problem, Session } from "../../api/types";
import { microseconds } from "../../format";
import { markOf, type Mark } from "./marks";

/** Frames that are fetched at once. */
const RUN = 100;
/** Frames of the outline that are asked for first. */
const BEGINNING = 1000;
/** Bytes of each payload that are fetched with a run; whoever opens a frame gets all of it. */
const PAYLOAD = 4096;
/** What is left of a pause when idle time is skipped, milliseconds. */
const PAUSE = 800;
/** Runs kept: a reader of a long session scrolls past thousands. */
const KEPT = 300;

export interface Span {
  call: Call;
  lane: number;
  /** Microseconds since the tape's start. */
  from: number;
  to: number;
  isOpen: boolean;
}

export class Tape {
  /** Changes with whatever becomes known. */
  readonly version = signal(0);
  readonly problem = signal<Problem | undefined>(undefined);
  readonly session = signal<Session | undefined>(undefined);
  readonly ready = signal(false);
  /** Numbers in the session, one for each frame. */
  readonly numbers: number[] = [];
  /** Milliseconds since the start, never falling. */
  readonly real: number[] = [];
  /** The same with pauses cut short. */
  readonly brief: number[] = [];
  readonly marks: Mark[] = [];
  spans: Span[] = [];
  lanes = 1;
  /** Microseconds since 1970. */
  start = 0;
  /** Whether all of the outline is here: what is tailed comes after it. */
  readonly isWhole = signal(false);
  tail = signal<Stream | undefined>(undefined);

  private readonly runs = new Map<number, Frame[]>();
  private readonly asked = new Map<number, Promise<void>>();
  private readonly calls = new Map<string, Call>();
  private readonly controller = new AbortController();
  private refresh: number | undefined;

  constructor(readonly id: string) {}

  get count(): number {
    return this.numbers.length;
  }

  /** Ready with the beginning; the rest comes while somebody reads, unless a frame after it is wanted first. */
  async open(wanted = 0): Promise<void> {
    try {
      const [session, beginning] = await Promise.all([this.ask<Session>(""), this.outline(0, BEGINNING)]);
      let next = beginning;
      this.session.value = session;
      this.ready.value = wanted <= (this.numbers.at(-1) ?? 0);
      while (next !== null) next = await this.outline(next);
      this.ready.value = true;
      this.isWhole.value = true;
      await this.readCalls();
    } catch (error) {
      if (!isGivenUp(error)) this.problem.value = problemOf(error);
    }
  }

  close(): void {
    this.controller.abort();
    this.tail.peek()?.close();
    clearTimeout(this.refresh);
  }

  private ask<T>(path: string, parameters = {}): Promise<T> {
    return ask<T>(`/sessions/${this.id}${path}`, parameters, this.controller.signal);
  }

  /** Reads one part of the outline; says where the next begins. */
  private async outline(after: number, limit?: number): Promise<number | null> {
    const outline = await this.ask<Outline>("/outline", { after, limit });
    if (this.count === 0) this.start = outline.start;
    let [number, time] = [0, outline.start - this.start];
    outline.numbers.forEach((step, index) => {
      number += step;
      time += outline.times[index] ?? 0;
      this.add(number, time / 1000, (outline.marks[index] ?? "-") as Mark);
    });
    this.changed();
    return outline.next ?? null;
  }

  private add(number: number, milliseconds: number, mark: Mark): void {
    const before = this.real.at(-1) ?? 0;
    const now = Math.max(before, milliseconds);
    this.numbers.push(number);
    this.real.push(now);
    this.brief.push((this.brief.at(-1) ?? 0) + Math.min(now - before, PAUSE));
    this.marks.push(mark);
  }

  private async readCalls(): Promise<void> {
    let cursor: string | null = null;
    do {
      const page: Page<Call> = await this.ask<Page<Call>>("/calls", { limit: 1000, cursor });
      for (const call of page.items) this.calls.set(`${call.exchange_id} ${call.direction} ${call.rpc_id}`, call);
      this.layOut();
      cursor = page.next;
    } while (cursor !== null);
  }

  /** Gives each call the first lane that is free at its time. */
  private layOut(): void {
    const ends: number[] = [];
    const end = this.real.at(-1) ?? 0;
    const calls = [...this.calls.values()].map((call) => {
      const from = (microseconds(call.started) - this.start) / 1000;
      const to = call.finished === null ? end : (microseconds(call.finished) - this.start) / 1000;
      return { call, from, to: Math.max(from, to), isOpen: call.finished === null };
    });
    calls.sort((one, other) => one.from - other.from);
    this.spans = calls.map((span) => {
      let lane = ends.findIndex((taken) => taken <= span.from);
      if (lane < 0) lane = ends.length;
      ends[lane] = span.to;
      return { ...span, lane };
    });
    this.lanes = Math.max(1, ends.length);
    this.changed();
  }

  private changed(): void {
    this.version.value += 1;
  }

  /** The frame at a place in the outline, if it is here; else it is fetched. */
  frame(index: number): Frame | undefined {
    const number = this.numbers[index];
    if (number === undefined) return undefined;
    const run = Math.floor(Math.max(0, number - 1) / RUN);
    const frames = this.runs.get(run);
    if (!frames) {
      void this.fetch(run);
      return undefined;
    }
    // Numbers of a shared session come twice: the place among those that are alike decides.
    let place = 0;
    while (this.numbers[index - place - 1] === number) place += 1;
    return frames.filter((frame) => frame.session_seq === number)[place];
  }

  /** Waits until the frames from one place to another are here, and returns them. */
  async between(first: number, last: number): Promise<Frame[]> {
    const runs = new Set<number>();
    for (let index = first; index <= last; index += 1) runs.add(Math.floor(Math.max(0, (this.numbers[index] ?? 1) - 1) / RUN));
    await Promise.all([...runs].map((run) => this.fetch(run)));
    const frames: Frame[] = [];
    for (let index = first; index <= last; index += 1) {
      const frame = this.frame(index);
      if (frame) frames.push(frame);
    }
    return frames;
  }

  private fetch(run: number): Promise<void> {
    if (this.runs.has(run)) return Promise.resolve();
    const under = this.asked.get(run);
    if (under) return under;
    const question = this.readRun(run)
      .catch((error: unknown) => {
        if (!isGivenUp(error)) this.problem.value = problemOf(error);
      })
      .finally(() => this.asked.delete(run));
    this.asked.set(run, question);
    return question;
  }

  private async readRun(run: number): Promise<void> {
    const frames: Frame[] = [];
    let after: number = run * RUN;
    const end = after + RUN;
    while (after < end) {
      const page: FramePage = await this.ask<FramePage>("/frames", { after, limit: end - after, payload_bytes: PAYLOAD });
      frames.push(...page.items);
      if (page.next === null || page.next === undefined) break;
      after = page.next;
    }
    this.runs.set(run, frames);
    for (const oldest of this.runs.keys()) {
      if (this.runs.size <= KEPT) break;
      this.runs.delete(oldest);
    }
    this.changed();
  }

  /** A frame with all of its payload. */
  async whole(frame: Frame): Promise<Frame> {
    const has = new TextEncoder().encode(frame.payload).length;
    return has >= frame.payload_stored ? frame : this.ask<Frame>(`/frames/${frame.session_seq}`);
  }

  /** The place of a frame's number. */
  indexOf(number: number): number {
    return lower(this.numbers, number);
  }

  /** The place of the first frame at or after a moment, in milliseconds. */
  indexAt(milliseconds: number): number {
    return lower(this.real, milliseconds);
  }

  /** The call that a frame belongs to. */
  callOf(frame: Frame): Call | undefined {
    const direction = frame.rpc_kind === "request" ? frame.direction : frame.direction === "to_target" ? "to_client" : "to_target";
    const own = this.calls.get(`${frame.exchange_id} ${direction} ${frame.rpc_id}`);
    if (own || frame.rpc_id !== "") return own;
    return this.spans.find(({ call }) => call.exchange_id === frame.exchange_id && call.direction === "to_target")?.call;
  }

  /** Listens to what is recorded from now on. */
  follow(): void {
    if (!this.isWhole.peek()) return;
    const after = this.numbers.at(-1) ?? 0;
    this.tail.value = stream<Frame>(address(`/sessions/${this.id}/live`, { after }), "frame", (frame) => this.heard(frame));
  }

  unfollow(): void {
    this.tail.peek()?.close();
    this.tail.value = undefined;
  }

  private heard(frame: Frame): void {
    // After an interruption the stream may say again what is here.
    if (frame.session_seq <= (this.numbers.at(-1) ?? 0)) return;
    if (this.count === 0) this.start = microseconds(frame.time);
    this.add(frame.session_seq, (microseconds(frame.time) - this.start) / 1000, markOf(frame));
    const run = Math.floor((frame.session_seq - 1) / RUN);
    // A run that nobody has fetched will have the frame when somebody does.
    this.runs.get(run)?.push(frame);
    this.changed();
    this.refresh ??= setTimeout(() => {
      this.refresh = undefined;
      void this.readCalls().catch(() => undefined);
    }, 1000);
  }
}

/** The first place whose value is not less. */
export function lower(values: readonly number[], value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first place whose value is greater. */
export function upper(values: readonly number[], value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
