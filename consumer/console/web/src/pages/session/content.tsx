// What a message says, as people read it: a tool's arguments, its answer's texts, images and data, an error, or whatever JSON.
import type { VNode } from "preact";
import { bytes, count } from "../../format";
import { isTree, Json, parsed, textOf, type Tree } from "../../parts/json";
import { Long, plain, Said } from "../../parts/text";

/** Pictures that browsers draw without running anything (an SVG can hold scripts). */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function Asked({ message, find }: { message: Tree; find: string }) {
  const params = isTree(message["params"]) ? message["params"] : undefined;
  const given = params?.["arguments"] ?? params;
  if (given === undefined) return <p class="soft">Without parameters.</p>;
  return <Json value={given} find={find} />;
}

export function Answered({ message, find }: { message: Tree; find: string }) {
  if (isTree(message["error"])) {
    const { code, message: text, data } = message["error"];
    return (
      <div class="failed">
        <p>
          <span class="badge bad">error {String(code)}</span> <Said text={textOf(text) ?? ""} find={find} />
        </p>
        {data !== undefined && <Json value={data} find={find} />}
      </div>
    );
  }
  const result = message["result"];
  if (!isTree(result)) return <Json value={result} find={find} />;
  const pieces = result["content"] ?? result["contents"];
  const rest = Object.entries(result).filter(([name]) => !["content", "contents", "isError", "structuredContent", "_meta"].includes(name));
  if (!Array.isArray(pieces)) return <Json value={result} find={find} />;
  return (
    <div class={result["isError"] === true ? "failed" : ""}>
      {pieces.map((piece, index) => (
        <Piece key={index} piece={piece} find={find} />
      ))}
      {result["structuredContent"] !== undefined && (
        <section>
          <h4>Structured</h4>
          <Json value={result["structuredContent"]} find={find} />
        </section>
      )}
      {rest.length > 0 && <Json value={Object.fromEntries(rest)} find={find} />}
    </div>
  );
}

function Piece({ piece, find }: { piece: unknown; find: string }): VNode {
  if (!isTree(piece)) return <Json value={piece} find={find} />;
  const inner = isTree(piece["resource"]) ? piece["resource"] : piece;
  const text = textOf(inner["text"]);
  const uri = textOf(inner["uri"]);
  if (text !== undefined) {
    const value = /^\s*[[{]/.test(text) ? parsed(text) : undefined;
    return (
      <div class="piece">
        {uri && <p class="uri">{plain(uri)}</p>}
        {value === undefined ? <Long text={text} find={find} /> : <Json value={value} find={find} />}
      </div>
    );
  }
  const data = textOf(inner["data"]) ?? textOf(inner["blob"]);
  const kind = textOf(inner["mimeType"]) ?? "";
  if (data !== undefined) return <Data data={data} kind={kind} {...(uri ? { uri } : {})} />;
  return <Json value={piece} find={find} />;
}

function Data({ data, kind, uri }: { data: string; kind: string; uri?: string }) {
  const size = Math.floor((data.length * 3) / 4);
  const isPicture = PICTURES.includes(kind) && BASE64.test(data);
  return (
    <figure class="piece picture">
      {isPicture && <img src={`data:${kind};base64,${data}`} alt={`A picture in the answer, ${kind}`} />}
      <figcaption class="soft">
        {uri ? `${plain(uri)} · ` : ""}
        {plain(kind) || "data"} · {bytes(size)} ({count(size)} bytes){isPicture ? "" : " · not shown"}
      </figcaption>
    </figure>
  );
}
