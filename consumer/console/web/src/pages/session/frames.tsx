// What was said, in its order: one row for each frame that has been heard.
import type { RefObject } from "preact";
import { bytes, clock } from "../../format";
import { Rows, type RowsHandle } from "../../parts/rows";
import { plain, Said } from "../../parts/text";
import { markOf, MARKS, WRONG, type Mark } from "./marks";
import { summary } from "./summary";
import type { Tape } from "./tape";

const ROW = 52;

interface FramesProps {
  tape: Tape;
  /** Places in the outline that are shown, ascending. */
  places: readonly number[];
  chosen: number | undefined;
  find: string;
  handle: RefObject<RowsHandle | null>;
  choose: (index: number) => void;
}

export function Frames({ tape, places, chosen, find, handle, choose }: FramesProps) {
  void tape.version.value;
  const row = (at: number) => {
    const index = places[at] ?? 0;
    return <FrameRow key={index} tape={tape} index={index} chosen={index === chosen} find={find} choose={choose} />;
  };
  return <Rows class="frames" label="What was said" count={places.length} height={ROW} handle={handle} row={row} />;
}

interface RowProps {
  tape: Tape;
  index: number;
  chosen: boolean;
  find: string;
  choose: (index: number) => void;
}

const ARROWS: Record<string, [string, string]> = {
  to_target: ["→", "to the target"],
  to_client: ["←", "to the client"],
};

function FrameRow({ tape, index, chosen, find, choose }: RowProps) {
  const frame = tape.frame(index);
  const mark: Mark = tape.marks[index] ?? (frame ? markOf(frame) : "-");
  const at = clock(tape.real[index] ?? 0);
  const number = tape.numbers[index] ?? 0;
  if (!frame) {
    return (
      <div class="frame waiting" role="listitem" aria-label={`Frame ${number} is loading`}>
        <span class="frame-time number">{at}</span>
        <span class="bone" />
      </div>
    );
  }
  const { title, said, progress } = summary(frame, mark);
  const [arrow, direction] = ARROWS[frame.direction] ?? ["·", "recorder"];
  const wrong = WRONG.includes(mark);
  const rules = frame.redaction_rules.length;
  return (
    <div class={`frame mark-${mark === "-" ? "quiet" : mark} ${wrong ? "wrong" : ""} ${chosen ? "chosen" : ""}`} role="listitem" data-number={number}>
      <span class="frame-time number">{at}</span>
      <span class="arrow" title={direction} aria-hidden="true">
        {arrow}
      </span>
      <button type="button" class="frame-main" aria-pressed={chosen} onClick={() => choose(index)}>
        <span class="frame-title">
          <span class="unseen">
            {MARKS[mark]}, {direction}:{" "}
          </span>
          {plain(title)}
          {wrong && <span class="badge bad">{MARKS[mark]}</span>}
          {rules > 0 && <span class="badge mask" title={frame.redaction_rules.map(plain).join(", ")}>{rules} masked</span>}
          {frame.truncated && <span class="badge warn">cut off</span>}
        </span>
        <span class="frame-said">
          {progress !== undefined && (
            <span class="meter" aria-hidden="true">
              <span style={{ width: `${progress * 100}%` }} />
            </span>
          )}
          <Said text={said} find={find} />
        </span>
      </button>
      <span class="frame-size number soft">{frame.payload_size > 0 ? bytes(frame.payload_size) : ""}</span>
    </div>
  );
}
