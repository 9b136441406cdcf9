// Steps over time: those in which nothing happened are not in the API's answer, and are in a chart.

/** Every step from one moment to another, in seconds since 1970, with what it has. */
export function filled<T extends { time: string }>(steps: readonly T[], step: number, from: number, to: number): [number, T | undefined][] {
  const known = new Map(steps.map((one) => [Math.round(Date.parse(one.time) / 1000), one]));
  const start = steps[0] ? Math.round(Date.parse(steps[0].time) / 1000) % step : 0;
  const first = Math.floor((from / 1000 - start) / step) * step + start;
  const all: [number, T | undefined][] = [];
  for (let time = first; time <= to / 1000; time += step) all.push([time, known.get(time)]);
  return all;
}
