// A list of any length in a few dozen elements: rows of one height, of which those in sight and some around exist.
import type { ComponentChildren, RefObject, VNode } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows beyond the edges, so that scrolling does not show a gap before the next paint. */
const AROUND = 12;
/** No browser lays out elements that are much taller: a longer list is scrolled in proportion. */
const TALLEST = 8_000_000;

export interface RowsHandle {
  /** Scrolls so that the row is in sight; `where` says at which edge, if it is not yet. */
  show(index: number, where?: "nearest" | "center" | "end"): void;
  /** Whether the row is in sight, in part at least. */
  sees(index: number): boolean;
}

interface RowsProps {
  count: number;
  /** Height of a row in pixels. */
  height: number;
  label: string;
  row: (index: number) => VNode;
  /** Called when the end comes near. */
  more?: (() => void) | undefined;
  /** Called with what is in sight. */
  inSight?: (first: number, last: number) => void;
  handle?: RefObject<RowsHandle | null>;
  role?: "list" | "rowgroup";
  header?: ComponentChildren;
  class?: string;
}

export function Rows(props: RowsProps) {
  const { count, height } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(600);
  const natural = count * height;
  const whole = Math.min(natural, TALLEST);
  /** Pixels of the list for each pixel that is scrolled. */
  const ratio = natural > whole && whole > tall ? (natural - tall) / (whole - tall) : 1;

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setTall(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const from = top * ratio;
  const first = Math.max(0, Math.floor(from / height) - AROUND);
  const last = Math.min(count, Math.ceil((from + tall) / height) + AROUND);

  useImperativeHandle(
    props.handle ?? { current: null },
    () => ({
      show(index, where = "nearest") {
        const element = frame.current;
        if (!element) return;
        const [start, end] = [index * height, (index + 1) * height];
        const now = element.scrollTop * ratio;
        let to = now;
        if (where === "center") to = start - (tall - height) / 2;
        else if (where === "end" || end > now + tall) to = end - tall;
        else if (start < now) to = start;
        element.scrollTop = Math.max(0, to / ratio);
      },
      sees(index) {
        const now = (frame.current?.scrollTop ?? 0) * ratio;
        return (index + 1) * height > now && index * height < now + tall;
      },
    }),
    [height, ratio, tall],
  );

  useEffect(() => {
    props.inSight?.(first, last);
    if (last >= count - 2 * AROUND) props.more?.();
  }, [first, last, count]);

  const rows: VNode[] = [];
  for (let index = first; index < last; index += 1) rows.push(props.row(index));
  const shift = top - (from - first * height);
  return (
    <div
      class={`rows ${props.class ?? ""}`}
      ref={frame}
      tabIndex={0}
      role="region"
      aria-label={props.label}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      {props.header}
      <div class="rows-all" role={props.role ?? "list"} style={{ height: `${whole}px` }}>
        <div class="rows-shown" role="presentation" style={{ transform: `translateY(${ratio === 1 ? first * height : shift}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
