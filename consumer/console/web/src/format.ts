// Numbers and times as people read them.

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number: number): string => COUNT.format(number);
export const compact = (number: number): string => (number < 10_000 ? COUNT.format(number) : COMPACT.format(number));

export function many(number: number, one: string, more = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : more}`;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [size / 1024, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A span in milliseconds: `3 ms`, `1.24 s`, `2 min 05 s`, `3 h 12 min`. */
export function span(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** A place on a tape: `0:07.250`, `1:02:03.000`. */
export function clock(milliseconds: number): string {
  const ms = Math.max(0, Math.round(milliseconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60];
  const rest = `${two(Math.floor(ms / 1000) % 60)}.${String(ms % 1000).padStart(3, "0")}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** A moment in the reader's time zone: the time alone where it was today. */
export function when(text: string, now = new Date()): string {
  const date = new Date(text);
  if (date.toDateString() === now.toDateString()) return TIME.format(date);
  const day = date.getFullYear() === now.getFullYear() ? DAY : YEAR;
  return `${day.format(date)}, ${TIME.format(date)}`;
}

export const whole = (text: string): string => `${YEAR.format(new Date(text))}, ${TIME.format(new Date(text))}`;

/** How long ago: `12 s ago`. */
export function ago(text: string, now: number): string {
  const ms = now - Date.parse(text);
  return ms < 2000 ? "just now" : `${span(Math.floor(ms / 1000) * 1000)} ago`;
}

/** Milliseconds between two moments of the API, to the microsecond. */
export function between(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from) + (micro(to) - micro(from)) / 1000;
}

const micro = (text: string): number => Number(/\.\d{3}(\d{3})/.exec(text)?.[1] ?? 0);

/** Microseconds since 1970. */
export const microseconds = (text: string): number => Date.parse(text) * 1000 + micro(text);

export const NIL = "00000000-0000-0000-0000-000000000000";

/** The end of an id: its start is a time, and alike for all of a day. */
export const short = (id: string): string => id.slice(-12);

export function person(of: { email: string; name: string; subject: string }): string {
  return of.email || of.name || of.subject || "nobody known";
}
