// Charts over time, by uPlot, which is fetched when the first is drawn. What a chart says is in a table for readers who do
// not see it.
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { colour, theme } from "../theme";

export interface Line {
  label: string;
  /** Name of a colour in the style sheet. */
  colour: string;
  values: (number | null)[];
  /** Bars stand on the axis, the later in front of the earlier; lines do not. */
  bars?: boolean;
}

/** Height of the lines' names below the axis. */
const LEGEND = 28;

interface ChartProps {
  label: string;
  /** Seconds since 1970, ascending. */
  times: number[];
  lines: Line[];
  height: number;
  /** Seconds of a step: the width of a bar. */
  step: number;
  show: (value: number) => string;
  /** Called with the seconds that somebody has brushed over. */
  brush?: (from: number, to: number) => void;
}

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const data = (): uPlot.AlignedData => [latest.current.times, ...latest.current.lines.map((line) => line.values)];

  const draw = async () => {
    const { default: UPlot } = await import("uplot");
    const element = place.current;
    if (!element) return;
    drawn.current?.destroy();
    drawn.current = new UPlot(options(UPlot, latest.current, element.clientWidth), data(), element);
  };
  const shape = props.lines.map((line) => line.label).join() + props.step + props.height;
  useEffect(() => {
    void draw();
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      drawn.current?.setSize({ width: element.clientWidth, height: latest.current.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.current?.destroy();
      drawn.current = undefined;
    };
  }, [shape]);
  useEffect(() => drawn.current?.setData(data()), [props.times, props.lines]);
  useSignalEffect(() => {
    // Canvases do not follow the style sheet by themselves.
    if (theme.value && drawn.current) void draw();
  });

  return (
    <figure class="chart">
      <div ref={place} style={{ height: `${props.height + (props.lines.length > 1 ? LEGEND : 0)}px` }} aria-hidden="true" />
      <figcaption class="unseen">{told(props)}</figcaption>
    </figure>
  );
}

/** The chart in a sentence. */
function told({ label, lines, show }: ChartProps): string {
  const of = lines.map((line) => {
    const values = line.values.filter((value) => value !== null);
    return `${line.label}: ${values.length === 0 ? "nothing" : `at most ${show(Math.max(...values))}`}`;
  });
  return `${label}. ${of.join("; ")}.`;
}

const span = (chart: uPlot): number => (chart.scales["x"]?.max ?? 0) - (chart.scales["x"]?.min ?? 0);
const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** A moment on the axis: its day where the chart spans several, or where one begins. */
function named(seconds: number, whole: number): string {
  const date = new Date(seconds * 1000);
  const isDay = date.getHours() === 0 && date.getMinutes() === 0;
  return (whole > 3 * 86_400 || (isDay && whole > 7200) ? DAY : HOUR).format(date);
}

/** Where the one value of a line is that has no other. */
function alone(chart: uPlot, line: number): number[] {
  const values = [...(chart.data[line] ?? [])];
  const known = values.flatMap((value, at) => (typeof value === "number" ? [at] : []));
  return known.length === 1 ? known : [];
}

function options(UPlot: typeof uPlot, props: ChartProps, width: number): uPlot.Options {
  const { brush, show, step } = props;
  const bars = UPlot.paths.bars?.({ size: [0.82, 40], radius: 0.2 });
  const soft = () => colour("soft");
  const axis = { stroke: soft, grid: { show: false }, ticks: { show: false }, font: "11px Inter, sans-serif" };
  const series = props.lines.map((line): uPlot.Series => {
    const own = () => colour(line.colour);
    const shared = { label: line.label, points: { show: false }, value: (_: uPlot, value: number | null) => (value === null ? "–" : show(value)) };
    if (line.bars && bars) return { ...shared, fill: own, stroke: own, width: 0, paths: bars };
    // A step that stands alone has no line to be seen by.
    return { ...shared, stroke: own, width: 1.75, spanGaps: true, points: { show: true, filter: alone, size: 6, width: 0, fill: own } };
  });
  return {
    width,
    height: props.height,
    legend: { show: props.lines.length > 1, live: false },
    cursor: { drag: { x: brush !== undefined, y: false, setScale: false }, points: { show: false }, y: false },
    scales: {
      x: { range: (_, from, to) => [from - step / 2, to + step / 2] },
      y: { range: (_, _from, to) => [0, Math.max(1, to * 1.1)] },
    },
    axes: [
      { ...axis, size: 24, space: 72, values: (chart, moments) => moments.map((moment) => named(moment, span(chart))) },
      { ...axis, size: 46, space: 28, grid: { stroke: () => colour("line"), width: 1 }, values: (_, values) => values.map(show) },
    ],
    series: [{}, ...series],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width: wide } = chart.select;
          if (!brush || wide < 4) return;
          const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + wide, "x")];
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          brush(from, to);
        },
      ],
    },
  };
}
