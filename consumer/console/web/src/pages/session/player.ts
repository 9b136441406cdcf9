// Where the tape stands, and how it moves. The tape shows what was known at that moment: all that came later is not there yet.
import { batch, computed, signal } from "@preact/signals";
import { upper, type Tape } from "./tape";

export const SPEEDS = [0.5, 1, 2, 4, 8, 16, 32] as const;

export class Player {
  /** Milliseconds on the clock that is in use. */
  readonly at = signal(0);
  readonly playing = signal(false);
  readonly speed = signal(1);
  /** Whether pauses are cut short. */
  readonly skip = signal(true);
  private readonly first: number;

  constructor(private readonly tape: Tape, heard?: number) {
    this.first = heard ?? tape.count;
    this.toIndex(this.first);
  }

  /** When each frame is, by the clock in use. */
  get clock(): readonly number[] {
    return this.skip.value ? this.tape.brief : this.tape.real;
  }

  get end(): number {
    return this.clock.at(-1) ?? 0;
  }

  /** Frames that have been heard. */
  readonly heard = computed(() => {
    this.tape.version.value;
    return upper(this.clock, this.at.value);
  });

  readonly isAtEnd = computed(() => this.heard.value >= this.tape.count);

  seek(milliseconds: number): void {
    this.at.value = Math.min(Math.max(0, milliseconds), this.end);
  }

  /** Stands right after so many frames. */
  toIndex(heard: number): void {
    this.at.value = heard <= 0 ? -1 : (this.clock[Math.min(heard, this.tape.count) - 1] ?? 0);
  }

  /** To the frame before or after. Frames of one moment are one step. */
  step(direction: 1 | -1): void {
    this.playing.value = false;
    const heard = this.heard.peek();
    if (direction > 0) return this.toIndex(heard + 1);
    const now = this.clock[heard - 1];
    let before = heard - 1;
    while (before > 0 && this.clock[before - 1] === now) before -= 1;
    this.toIndex(before);
  }

  toggle(): void {
    if (!this.playing.peek() && this.isAtEnd.peek()) this.toIndex(0);
    this.playing.value = !this.playing.peek();
  }

  faster(direction: 1 | -1): void {
    const at = SPEEDS.findIndex((speed) => speed === this.speed.peek());
    this.speed.value = SPEEDS[Math.min(Math.max(0, at + direction), SPEEDS.length - 1)] ?? 1;
  }

  /** Changes the clock; the tape stands where it stood. */
  toggleSkip(): void {
    const heard = this.heard.peek();
    batch(() => {
      this.skip.value = !this.skip.peek();
      this.toIndex(heard);
    });
  }

  /** Moves on as time has passed; says whether the tape still plays. */
  advance(milliseconds: number): boolean {
    const to = Math.max(0, this.at.peek()) + milliseconds * this.speed.peek();
    this.seek(to);
    if (to >= this.end && this.tape.tail.peek() === undefined) this.playing.value = false;
    return this.playing.peek();
  }

  /** A moment of the tape, in milliseconds since its start, by the clock in use. */
  on(real: number): number {
    if (!this.skip.value) return real;
    const index = upper(this.tape.real, real) - 1;
    if (index < 0) return 0;
    const [from, to] = [this.tape.real[index] ?? 0, this.tape.real[index + 1] ?? Infinity];
    const [start, end] = [this.tape.brief[index] ?? 0, this.tape.brief[index + 1] ?? this.tape.brief[index] ?? 0];
    return Number.isFinite(to) && to > from ? start + ((real - from) / (to - from)) * (end - start) : start;
  }

  /** Milliseconds since the tape's start at which it stands. */
  readonly moment = computed(() => {
    const heard = this.heard.value;
    return heard === 0 ? 0 : (this.tape.real[heard - 1] ?? 0);
  });
}
