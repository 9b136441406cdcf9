// Recorded text, as text: masks are marked, what was looked for is marked, and nothing of it is ever markup.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { bytes } from "../format";

/** What redaction leaves in the place of what it masked. */
const MASK = /‹redacted:([^›]{1,80})›/g;
/** Characters that are shown of a long text before somebody asks for more. */
const SHOWN = 4000;
/** Characters that would move or hide what stands beside them (Unicode, "Trojan Source"). */
const TRICKS = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text without characters that play tricks: they are shown by their numbers. */
export const plain = (text: string): string =>
  text.replace(TRICKS, (character) => `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** One run of text. */
export function Said({ text, find = "" }: { text: string; find?: string }) {
  const pieces: ComponentChildren[] = [];
  let at = 0;
  for (const found of text.matchAll(MASK)) {
    pieces.push(marked(plain(text.slice(at, found.index)), find));
    const rule = found[1] ?? "";
    pieces.push(
      <mark class="mask" title={`Masked by the rule ${rule}`}>
        {plain(rule)}
      </mark>,
    );
    at = found.index + found[0].length;
  }
  pieces.push(marked(plain(text.slice(at)), find));
  return <>{pieces}</>;
}

function marked(text: string, find: string): ComponentChildren {
  if (find === "") return text;
  const [where, what] = [text.toLowerCase(), find.toLowerCase()];
  const pieces: ComponentChildren[] = [];
  let at = 0;
  for (let next = where.indexOf(what); next >= 0; next = where.indexOf(what, at)) {
    pieces.push(text.slice(at, next), <mark class="found">{text.slice(next, next + what.length)}</mark>);
    at = next + what.length;
  }
  pieces.push(text.slice(at));
  return pieces;
}

/** A text of any length: its beginning, and the rest if asked for. */
export function Long({ text, find = "", mono = false }: { text: string; find?: string; mono?: boolean }) {
  const [shown, setShown] = useState(SHOWN);
  const rest = text.length - shown;
  return (
    <div class={mono ? "long mono" : "long"}>
      <Said text={rest > 0 ? text.slice(0, shown) : text} find={find} />
      {rest > 0 && (
        <button type="button" class="more" onClick={() => setShown(shown + 16 * SHOWN)}>
          … {bytes(rest)} more
        </button>
      )}
    </div>
  );
}

/** Rules whose masks are in a text, with how often. */
export function masksIn(text: string): Map<string, number> {
  const rules = new Map<string, number>();
  for (const [, found = ""] of text.matchAll(MASK)) {
    // Masks of one object's keys are numbered: `email~2`.
    const rule = found.split("~")[0] ?? found;
    rules.set(rule, (rules.get(rule) ?? 0) + 1);
  }
  return rules;
}
