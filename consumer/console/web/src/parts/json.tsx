// JSON as a tree that folds, and as raw text.
import { useState } from "preact/hooks";
import { many } from "../format";
import { Long, Said } from "./text";

/** Members of one value that are shown before somebody asks for more. */
const SHOWN = 100;
/** Depth to which a tree is open at first. */
const OPEN = 4;

/** What a text is as JSON; undefined for none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export type Tree = Record<string, unknown>;
export const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);
export const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export function Json({ value, find = "", depth = 0 }: { value: unknown; find?: string; depth?: number }) {
  if (typeof value === "string") {
    return value.includes("\n") || value.length > 200 ? (
      <Long text={value} find={find} mono />
    ) : (
      <span class="json-text">
        <Said text={value} find={find} />
      </span>
    );
  }
  if (Array.isArray(value)) return <Members list entries={value.map((item, index) => [String(index), item])} find={find} depth={depth} />;
  if (isTree(value)) return <Members entries={Object.entries(value)} find={find} depth={depth} />;
  return <span class="json-bare">{String(value)}</span>;
}

interface MembersProps {
  entries: [string, unknown][];
  list?: boolean;
  find: string;
  depth: number;
}

function Members({ entries, list = false, find, depth }: MembersProps) {
  const [shown, setShown] = useState(SHOWN);
  if (entries.length === 0) return <span class="json-bare">{list ? "[ ]" : "{ }"}</span>;
  return (
    <dl class={list ? "json list" : "json"}>
      {entries.slice(0, shown).map(([name, value]) => (
        <Member key={name} name={name} value={value} find={find} depth={depth} />
      ))}
      {entries.length > shown && (
        <button type="button" class="more" onClick={() => setShown(shown * 10)}>
          … {many(entries.length - shown, "more member")}
        </button>
      )}
    </dl>
  );
}

function Member({ name, value, find, depth }: { name: string; value: unknown; find: string; depth: number }) {
  const size = Array.isArray(value) ? value.length : isTree(value) ? Object.keys(value).length : 0;
  const [open, setOpen] = useState(depth < OPEN);
  return (
    <div class={size > 0 ? "member deep" : "member"}>
      <dt>
        {size > 0 ? (
          <button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Said text={name} find={find} />
          </button>
        ) : (
          <Said text={name} find={find} />
        )}
      </dt>
      <dd>{open || size === 0 ? <Json value={value} find={find} depth={depth + 1} /> : <span class="soft">{many(size, "member")}</span>}</dd>
    </div>
  );
}

/** JSON as text that is easy to read; anything else as it is. */
export function pretty(text: string): string {
  const value = parsed(text);
  return value === undefined ? text : JSON.stringify(value, null, 2);
}
