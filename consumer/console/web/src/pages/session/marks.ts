// What a frame is, in a letter: as the API's outline says it, and the same for frames that are tailed.
import type { Frame } from "../../api/types";

export type Mark = "q" | "Q" | "r" | "e" | "p" | "n" | "b" | "c" | "x" | "g" | "t" | "-";

export const MARKS: Record<Mark, string> = {
  q: "Request",
  Q: "Request of the target",
  r: "Answer",
  e: "Answer with an error",
  p: "Progress",
  n: "Notification",
  b: "Batch",
  c: "Part of a message",
  x: "Refused or badly ended",
  g: "Gap",
  t: "Not intact",
  "-": "Event of the recorder",
};

const FINE = ["", "answered", "accepted"];

export function markOf(frame: Frame): Mark {
  if (frame.verdict !== "intact" && frame.verdict !== "") return "t";
  if (frame.kind === "gap") return "g";
  if (frame.kind === "refused" || !FINE.includes(frame.ended)) return "x";
  if (!frame.part_last) return "c";
  switch (frame.rpc_kind) {
    case "request":
      return frame.direction === "to_target" ? "q" : "Q";
    case "error":
      return "e";
    case "response":
      return frame.rpc_is_error ? "e" : "r";
    case "notification":
      return frame.rpc_method === "notifications/progress" ? "p" : "n";
    case "batch":
      return "b";
    default:
      return frame.rpc_is_error ? "e" : "-";
  }
}

/** Marks of what nobody reads for its own sake. */
export const QUIET: readonly Mark[] = ["-", "c"];
/** Marks of what went wrong. */
export const WRONG: readonly Mark[] = ["e", "x", "g", "t"];
