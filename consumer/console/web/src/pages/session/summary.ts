// A frame in a line: what it is, and the beginning of what was said.
import type { Frame } from "../../api/types";
import { bytes, many } from "../../format";
import { isTree, parsed, textOf, type Tree } from "../../parts/json";
import { MARKS, type Mark } from "./marks";

export interface Summary {
  title: string;
  /** The beginning of what was said. */
  said: string;
  /** Of progress: from 0 to 1. */
  progress?: number;
}

const kept = new WeakMap<Frame, Summary>();
const SAID = 300;

export function summary(frame: Frame, mark: Mark): Summary {
  let known = kept.get(frame);
  if (!known) {
    known = make(frame, mark);
    kept.set(frame, known);
  }
  return known;
}

function make(frame: Frame, mark: Mark): Summary {
  const title = frame.rpc_name || frame.rpc_method || frame.http_method || MARKS[mark];
  if (mark === "g") return { title: "Gap", said: `${many(frame.gap_frames, "frame")} could not be recorded` };
  if (frame.kind === "refused") return { title, said: `Refused: ${frame.decision_rule || `status ${frame.http_status}`}` };
  if (frame.kind === "exchange_end") return { title, said: `The exchange ended: ${frame.ended}` };
  if (frame.redaction === "dropped") return { title, said: `Not kept: ${frame.redaction_reason} (${bytes(frame.payload_size)})` };
  if (frame.redaction === "erased") return { title, said: "Erased on request" };
  if (frame.payload === "") return { title, said: frame.kind === "message" ? "An empty message" : frame.kind.replaceAll("_", " ") };
  const message = parsed(frame.payload);
  // The list has only the beginning of a long message.
  if (!isTree(message)) return { title, said: firstText(frame.payload) ?? frame.payload.slice(0, SAID) };
  const params = isTree(message["params"]) ? message["params"] : {};
  if (mark === "p") return { title: "Progress", ...progress(params) };
  if (isTree(message["error"])) return { title, said: errorText(message["error"]) };
  if (message["result"] !== undefined) return { title, said: resultText(message["result"]) };
  const said = params["arguments"] ?? (params["uri"] === undefined ? message["params"] : undefined);
  return { title, said: said === undefined ? "" : flat(said) };
}

function progress(params: Tree): { said: string; progress?: number } {
  const [done, total] = [Number(params["progress"]), Number(params["total"])];
  const said = textOf(params["message"]) ?? (Number.isFinite(total) ? `${done} of ${total}` : String(done));
  return done >= 0 && total > 0 ? { said, progress: Math.min(1, done / total) } : { said };
}

export function errorText(error: Tree): string {
  return `${String(error["code"])}: ${textOf(error["message"]) ?? flat(error)}`;
}

function resultText(result: unknown): string {
  if (!isTree(result)) return flat(result);
  for (const kind of ["tools", "resources", "prompts"]) {
    const list = result[kind];
    if (Array.isArray(list)) return `${many(list.length, kind.slice(0, -1))}: ${list.filter(isTree).map((one) => textOf(one["name"]) ?? "").join(", ")}`;
  }
  const content = result["content"] ?? result["contents"];
  if (!Array.isArray(content)) return flat(result);
  const pieces = content.filter(isTree).map((piece) => textOf(piece["text"]) ?? `[${textOf(piece["type"]) ?? "content"} ${textOf(piece["mimeType"]) ?? ""}]`);
  return pieces.join(" ").slice(0, SAID) || flat(result);
}

/** The first text in the beginning of a JSON message, which is cut somewhere. */
function firstText(payload: string): string | undefined {
  const found = /"text":"((?:[^"\\]|\\.){1,300})/.exec(payload)?.[1];
  const value = found === undefined ? undefined : parsed(`"${found}"`);
  return textOf(value);
}

/** A value on one line. */
function flat(value: unknown): string {
  if (isTree(value)) {
    const members = Object.entries(value).slice(0, 12);
    return members.map(([name, member]) => `${name}: ${typeof member === "string" ? member : (JSON.stringify(member) ?? "")}`).join(" · ").slice(0, SAID);
  }
  return (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, SAID);
}
