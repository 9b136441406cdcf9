// Sessions over time, to see when something happened and to brush over it.
import { useMemo } from "preact/hooks";
import type { Statistics } from "../../api/types";
import { compact } from "../../format";
import { Chart, type Line } from "../../parts/chart";
import { filled } from "../steps";

interface VolumeProps {
  statistics: Statistics;
  from: number;
  to: number;
  brush: (from: number, to: number) => void;
}

export function Volume({ statistics, from, to, brush }: VolumeProps) {
  const [times, lines] = useMemo(() => {
    const steps = filled(statistics.sessions, statistics.step, from, to);
    const lines: Line[] = [{ label: "Sessions", colour: "accent", bars: true, values: steps.map(([, step]) => step?.sessions ?? 0) }];
    return [steps.map(([time]) => time), lines] as const;
  }, [statistics, from, to]);
  return <Chart label="Sessions over time" height={104} times={times} step={statistics.step} lines={lines} show={compact} brush={brush} />;
}
