// One frame opened: the call that it belongs to, from request to answer, as people read it; or as it was, letter by letter.
import { useLoaded } from "../../api/load";
import type { Call, Frame } from "../../api/types";
import { bytes, clock, many, whole } from "../../format";
import { isTree, parsed, pretty } from "../../parts/json";
import { Icon } from "../../parts/icon";
import { Trouble, Waiting } from "../../parts/states";
import { Long, masksIn, plain, Said } from "../../parts/text";
import { Answered, Asked } from "./content";
import { markOf, MARKS } from "./marks";
import type { Player } from "./player";
import { summary } from "./summary";
import type { Tape } from "./tape";
import { latency, toneOf } from "./timeline";

/** Frames between a request and its answer that are looked through for progress. */
const MOST_BETWEEN = 400;

export interface Opened {
  frame: Frame;
  call: Call | undefined;
  request: Frame | undefined;
  answer: Frame | undefined;
  between: Frame[];
}

/** A frame with the call that it belongs to. */
export async function opened(tape: Tape, index: number): Promise<Opened | undefined> {
  const [found] = await tape.between(index, index);
  if (!found) return undefined;
  const call = tape.callOf(found);
  const frame = await tape.whole(found);
  if (!call) return { frame, call, request: undefined, answer: undefined, between: [] };
  const span = tape.spans.find((one) => one.call === call);
  const first = Math.min(index, span ? tape.indexAt(span.from - 0.001) : index);
  const last = Math.max(index, span && !span.isOpen ? tape.indexAt(span.to + 0.001) : index);
  const frames = last - first <= MOST_BETWEEN ? await tape.between(first, last) : [...(await tape.between(first, first + 2)), ...(await tape.between(last - 2, last))];
  const own = frames.filter((one) => one.exchange_id === call.exchange_id || one.rpc_id === call.rpc_id);
  const request = own.find((one) => one.rpc_kind === "request" && one.rpc_id === call.rpc_id && one.direction === call.direction);
  const answer = own.findLast(
    (one) => (one.rpc_kind === "response" || one.rpc_kind === "error") && one.part_last && one.direction !== call.direction && (one.rpc_id === call.rpc_id || one.rpc_id === ""),
  );
  const between = own.filter((one) => one.rpc_kind === "notification" && one.exchange_id === call.exchange_id);
  const full = (one: Frame | undefined) => (one ? tape.whole(one) : Promise.resolve(undefined));
  return { frame, call, request: await full(request), answer: await full(answer), between };
}

interface DetailProps {
  tape: Tape;
  player: Player;
  index: number;
  raw: boolean;
  find: string;
  close: () => void;
  compare: () => void;
  copy: () => void;
  toggleRaw: () => void;
}

export function Detail(props: DetailProps) {
  const { tape, index, raw } = props;
  // Until the calls are here, nobody knows which the frame belongs to.
  const key = `${tape.id} ${index} ${tape.spans.length} ${tape.count}`;
  const { value, problem } = useLoaded(key, () => opened(tape, index)).value;
  return (
    <aside class="detail" aria-label="Opened frame">
      <header>
        <h2>Frame {tape.numbers[index]}</h2>
        <span class="grow" />
        <button type="button" class="quiet" aria-pressed={raw} onClick={props.toggleRaw} title="Raw JSON (r)">
          Raw
        </button>
        <button type="button" class="quiet" onClick={props.copy} aria-label="Copy a link to this moment" title="Copy a link to this moment (y)">
          <Icon name="link" />
        </button>
        <button type="button" class="quiet" onClick={props.compare} aria-label="Compare this call" title="Compare this call (c)">
          <Icon name="compare" />
        </button>
        <button type="button" class="quiet" onClick={props.close} aria-label="Close" title="Close (Esc)">
          <Icon name="close" />
        </button>
      </header>
      <div class="detail-body" tabIndex={0} role="region" aria-label="Contents of the frame">
        {problem ? <Trouble problem={problem} /> : value === undefined ? <Waiting what="the frame" /> : <Body {...props} opened={value} />}
      </div>
    </aside>
  );
}

function Body({ opened, raw, find, tape, player }: DetailProps & { opened: Opened }) {
  const { frame, call, request, answer, between } = opened;
  const frames = call ? [request, answer].filter((one) => one !== undefined) : [frame];
  return (
    <>
      {call && <CallHead call={call} />}
      {raw ? (
        (frames.length > 0 ? frames : [frame]).map((one) => <Raw key={one.session_seq} frame={one} find={find} />)
      ) : call ? (
        <>
          <Part title="Request" frame={request} tape={tape} player={player} find={find} none="The request is not in this session." />
          {between.length > 0 && <Progress frames={between} tape={tape} player={player} find={find} />}
          <Part title="Answer" frame={answer} tape={tape} player={player} find={find} none={call.finished === null ? "No answer is on record yet." : `There is none: ${call.outcome}${call.rule ? ` (${call.rule})` : ""}.`} />
        </>
      ) : (
        <Part title={MARKS[markOf(frame)]} frame={frame} tape={tape} player={player} find={find} none="" />
      )}
      <Proof frame={frame} masked={frames.length > 0 ? frames : [frame]} />
    </>
  );
}

function CallHead({ call }: { call: Call }) {
  return (
    <div class="call-head">
      <h3>{plain(call.name || call.method)}</h3>
      <p>
        <span class={`badge ${toneOf(call)}`}>{call.outcome}</span> <span class="number">{latency(call)}</span>
        <span class="soft"> · {plain(call.method)} · {bytes(call.request_bytes)} → {bytes(call.answer_bytes)}</span>
      </p>
    </div>
  );
}

interface PartProps {
  title: string;
  frame: Frame | undefined;
  tape: Tape;
  player: Player;
  find: string;
  none: string;
}

function Part({ title, frame, tape, player, find, none }: PartProps) {
  const at = frame ? tape.indexOf(frame.session_seq) : 0;
  const isToCome = frame !== undefined && at >= player.heard.value;
  const message = frame ? parsed(frame.payload) : undefined;
  return (
    <section class="part">
      <h3>
        {title}
        {frame && <span class="soft number"> {clock(tape.real[at] ?? 0)}</span>}
      </h3>
      {!frame ? (
        <p class="soft">{none}</p>
      ) : isToCome ? (
        <p class="soft">Not there yet at this moment of the tape.</p>
      ) : frame.payload === "" ? (
        <p class="soft">{summary(frame, markOf(frame)).said}</p>
      ) : isTree(message) && (message["result"] !== undefined || message["error"] !== undefined) ? (
        <Answered message={message} find={find} />
      ) : isTree(message) ? (
        <Asked message={message} find={find} />
      ) : (
        <Long text={frame.payload} find={find} mono />
      )}
    </section>
  );
}

function Progress({ frames, tape, player, find }: { frames: Frame[]; tape: Tape; player: Player; find: string }) {
  const heard = player.heard.value;
  const now = frames.filter((frame) => tape.indexOf(frame.session_seq) < heard);
  const last = now.at(-1);
  const done = last && summary(last, markOf(last)).progress;
  return (
    <section class="part">
      <h3>
        On the way <span class="soft number">{many(now.length, "notification")}</span>
      </h3>
      {done !== undefined && <progress aria-label="Progress of the call" value={done} max={1} />}
      <ol class="progress">
        {now.slice(-50).map((frame) => (
          <li key={frame.session_seq}>
            <span class="number soft">{clock(tape.real[tape.indexOf(frame.session_seq)] ?? 0)}</span> <Said text={summary(frame, markOf(frame)).said} find={find} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Raw({ frame, find }: { frame: Frame; find: string }) {
  const fields = Object.entries(frame).filter(([name, value]) => name !== "payload" && value !== "" && value !== 0 && value !== false && !(Array.isArray(value) && value.length === 0));
  return (
    <section class="part">
      <h3>
        Frame {frame.session_seq} <span class="soft">{frame.direction.replace("_", " ")}</span>
      </h3>
      <pre class="raw">
        <Said text={pretty(frame.payload)} find={find} />
      </pre>
      <details>
        <summary>Everything that is recorded of it</summary>
        <table class="fields">
          <tbody>
            {fields.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{plain(String(value))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </section>
  );
}

const KEPT: Record<string, string> = {
  none: "There was nothing to keep.",
  unchanged: "Nothing was masked: this is what was sent, to the last byte.",
  dropped: "The contents were not kept, since redaction could not read them.",
  joined: "Its text is with the last part of the message.",
  erased: "The contents were erased on request.",
};

/** What was masked, and what proves the rest. */
function Proof({ frame, masked }: { frame: Frame; masked: Frame[] }) {
  const rules = new Map<string, number>();
  for (const one of masked) {
    const inside = masksIn(one.payload);
    for (const rule of one.redaction_rules) rules.set(rule, (rules.get(rule) ?? 0) + (inside.get(rule) ?? 0));
  }
  return (
    <>
      <section class="part">
        <h3>
          <Icon name="mask" /> Masked
        </h3>
        {rules.size === 0 ? (
          <p class="soft">{KEPT[frame.redaction] ?? "Nothing was masked."}</p>
        ) : (
          <ul class="masks">
            {[...rules].map(([rule, times]) => (
              <li key={rule}>
                <span class="badge mask">{plain(rule)}</span> {times > 0 ? many(times, "place") : "in its description"}
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="part">
        <h3>
          <Icon name="chain" /> Chain
        </h3>
        <p>
          <span class={frame.verdict === "intact" ? "badge ok" : "badge bad"}>{frame.verdict || "unknown"}</span> <span class="soft">number {frame.seq} of segment</span> <code>{frame.segment_id}</code>
        </p>
        <p class="hash">
          <span class="soft">hash</span> <code>{frame.frame_hash}</code>
        </p>
        <p class="soft">Recorded {whole(frame.time)}</p>
      </section>
    </>
  );
}
