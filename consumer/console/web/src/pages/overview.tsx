// Overview: how much is called, how well, how fast, by whom, and whether all of it arrives.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { ask } from "../api/ask";
import { useLoaded } from "../api/load";
import type { CallStep, Facets, Health, Statistics } from "../api/types";
import { bytes, compact, count, span } from "../format";
import { useKeys } from "../keys";
import { Chart, type Line } from "../parts/chart";
import { Facet } from "../parts/facet";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain } from "../parts/text";
import { go, Link, query, withQuery } from "../route";
import { TIMES, USUAL } from "./sessions/filter";
import { filled } from "./steps";

/** Frames that arrive later than this are worth a warning, milliseconds. */
const LATE = 15 * 60_000;

export function OverviewPage() {
  const again = useSignal(0);
  const time = query.value.get("time") ?? USUAL;
  const key = `${time} ${again.value}`;
  const [from, to] = useMemo(() => [Date.now() - (TIMES[time]?.back ?? 0), Date.now()] as const, [key]);
  const asked = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const statistics = useLoaded(key, (given) => ask<Statistics>("/statistics", asked, given)).value;
  const facets = useLoaded(key, (given) => ask<Facets>("/facets", asked, given)).value;
  const health = useLoaded(key, (given) => ask<Health>("/health", {}, given)).value;
  useKeys(() => [{ keys: "u", does: "Look again", group: "Overview", run: () => (again.value += 1) }], []);
  const problem = statistics.problem ?? facets.problem;
  const times = Object.entries(TIMES).map(([value, { title }]) => ({ value, label: title }));
  return (
    <div class="page overview">
      <header class="page-head">
        <h1>Overview</h1>
        <span class="grow" />
        <Facet name="Time" free={false} value={time} choices={times} choose={(value) => go(withQuery({ time: value === USUAL ? null : value }))} />
      </header>
      {problem ? (
        <Trouble problem={problem} again={() => (again.value += 1)} />
      ) : !statistics.value ? (
        <Waiting what="figures" />
      ) : (
        <>
          <Figures statistics={statistics.value} health={health.value} now={to} />
          <Charts statistics={statistics.value} from={from} to={to} />
          <div class="tops">
            <Top title="Tools" facet="tool" facets={facets.value} time={time} />
            <Top title="People" facet="user" facets={facets.value} time={time} />
            <Top title="Targets" facet="target" facets={facets.value} time={time} />
          </div>
        </>
      )}
    </div>
  );
}

const sum = <T,>(items: T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0);

/** A span in one unit: `12 s`, `3 min`, `2 h`. */
function roughly(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

/** The middle of the steps' percentiles, each as heavy as its calls: near to that of all calls. */
function typical(steps: CallStep[], of: (step: CallStep) => number): number {
  const sorted = steps.filter((step) => step.calls > 0).sort((one, other) => of(one) - of(other));
  const half = sum(sorted, (step) => step.calls) / 2;
  let seen = 0;
  for (const step of sorted) {
    seen += step.calls;
    if (seen >= half) return of(step);
  }
  return 0;
}

function Figures({ statistics: { sessions, calls }, health, now }: { statistics: Statistics; health: Health | undefined; now: number }) {
  const all = sum(calls, (step) => step.calls);
  const [errors, refused, unknown] = [sum(calls, (step) => step.errors), sum(calls, (step) => step.refused), sum(calls, (step) => step.unknown)];
  const share = (part: number) => (all === 0 ? "" : `${((part / all) * 100).toFixed(part / all < 0.1 ? 1 : 0)} %`);
  const silent = health?.latest_frame ? now - Date.parse(health.latest_frame) : undefined;
  const missing = health?.missing_frames;
  return (
    <dl class="figures">
      <Figure name="Sessions" value={compact(sum(sessions, (step) => step.sessions))} more={bytes(sum(sessions, (step) => step.bytes))} />
      <Figure name="Calls" value={compact(all)} more={unknown > 0 ? `${count(unknown)} of unknown end` : "all ends known"} />
      <Figure name="Errors" value={compact(errors)} more={share(errors)} tone={errors > 0 ? "bad" : "ok"} />
      <Figure name="Refused" value={compact(refused)} more={share(refused)} tone={refused > 0 ? "warn" : "ok"} />
      <Figure name="Typical answer" value={all === 0 ? "–" : span(typical(calls, (step) => step.p50))} more={all === 0 ? "" : `p95 ${span(typical(calls, (step) => step.p95))}`} />
      <Figure name="Latest frame" value={silent === undefined ? "–" : `${roughly(silent)} ago`} more={silent === undefined ? "none in 24 hours" : "arriving"} tone={silent === undefined || silent > LATE ? "warn" : "ok"} />
      {missing !== null && missing !== undefined && <Figure name="Missing frames" value={count(missing)} more={missing === 0 ? "no gap is known" : "retention came first"} tone={missing > 0 ? "bad" : "ok"} />}
    </dl>
  );
}

function Figure({ name, value, more, tone = "" }: { name: string; value: string; more: string; tone?: string }) {
  return (
    <div class={`figure ${tone}`}>
      <dt>{name}</dt>
      <dd>
        <span class="number big">{value}</span>
        <small>{more}</small>
      </dd>
    </div>
  );
}

function Charts({ statistics, from, to }: { statistics: Statistics; from: number; to: number }) {
  const [times, calls, latency] = useMemo(() => {
    const steps = filled(statistics.calls, statistics.step, from, to);
    const values = (of: (step: CallStep) => number) => steps.map(([, step]) => (step ? of(step) : 0));
    const known = (of: (step: CallStep) => number) => steps.map(([, step]) => (step && step.p99 > 0 ? of(step) : null));
    const calls: Line[] = [
      { label: "Calls", colour: "accent", bars: true, values: values((step) => step.calls) },
      { label: "Errors", colour: "bad", bars: true, values: values((step) => step.errors + step.refused) },
      { label: "Refused", colour: "warn", bars: true, values: values((step) => step.refused) },
    ];
    const latency: Line[] = [
      { label: "p50", colour: "accent", values: known((step) => step.p50) },
      { label: "p95", colour: "warn", values: known((step) => step.p95) },
      { label: "p99", colour: "bad", values: known((step) => step.p99) },
    ];
    return [steps.map(([time]) => time), calls, latency] as const;
  }, [statistics]);
  if (statistics.calls.length === 0) {
    return (
      <Empty title="Nothing was called in this time">
        <p>Choose a longer time above.</p>
      </Empty>
    );
  }
  const brush = (start: number, end: number) => go(`/sessions?from=${new Date(start * 1000).toISOString()}&to=${new Date(end * 1000).toISOString()}`);
  return (
    <div class="charts">
      <section class="card">
        <h2>Calls</h2>
        <Chart label="Calls over time" height={220} times={times} step={statistics.step} lines={calls} show={compact} brush={brush} />
      </section>
      <section class="card">
        <h2>Time to answer</h2>
        <Chart label="Time to answer over time" height={220} times={times} step={statistics.step} lines={latency} show={span} brush={brush} />
      </section>
    </div>
  );
}

function Top({ title, facet, facets, time }: { title: string; facet: string; facets: Facets | undefined; time: string }) {
  const values = facets?.values.filter((value) => value.facet === facet).slice(0, 8) ?? [];
  const most = values[0]?.sessions ?? 1;
  return (
    <section class="card">
      <h2>
        {title} <small class="soft">by sessions</small>
      </h2>
      {values.length === 0 ? (
        <p class="soft">None in this time.</p>
      ) : (
        <ol class="top">
          {values.map(({ value, sessions }) => (
            <li key={value}>
              <Link to={`/sessions?${facet}=${encodeURIComponent(value)}${time === USUAL ? "" : `&time=${time}`}`}>
                <span class="bar" style={{ width: `${(sessions / most) * 100}%` }} />
                <span class="top-name">{plain(value)}</span>
                <span class="number">{compact(sessions)}</span>
              </Link>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
