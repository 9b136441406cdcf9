// What stands where nothing does yet: waiting, nothing found, refused.
import type { ComponentChildren } from "preact";
import { signInAddress } from "../api/ask";
import type { Problem } from "../api/types";

export function Waiting({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <Reels turning />
      <p>Loading {what}…</p>
    </div>
  );
}

/** `top`: its title is the page's. */
export function Empty({ title, top = false, children }: { title: string; top?: boolean; children?: ComponentChildren }) {
  return (
    <div class="state">
      <Reels />
      {top ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

const ADVICE: Record<string, string> = {
  "too-much": "Choose a shorter time, or add a filter.",
  "too-many": "Other questions of yours are still under way. Try again in a moment.",
  "not-on-record": "The access log must be written before anything is shown. Your administrator can say why it cannot be.",
  "not-found": "It may have been removed by retention, or belong to somebody whose recordings you may not see.",
  away: "Nothing is lost: recording does not depend on the console.",
};

export function Trouble({ problem, again }: { problem: Problem; again?: () => void }) {
  const kind = problem.type.split(":").at(-1) ?? "";
  return (
    <div class="state trouble" role="alert">
      <Reels />
      <h2>{problem.title}</h2>
      <p>{problem.detail}</p>
      {ADVICE[kind] && <p class="soft">{ADVICE[kind]}</p>}
      {kind === "unauthenticated" && (
        <a class="button primary" href={signInAddress()}>
          Sign in
        </a>
      )}
      {again && kind !== "unauthenticated" && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Two reels of tape. */
export function Reels({ turning = false }: { turning?: boolean }) {
  const reel = (x: number) => (
    <g class="reel" transform={`translate(${x} 20)`}>
      <circle r="9" />
      <path d="M0-9V-4M7.8 4.5 3.5 2M-7.8 4.5-3.5 2" />
    </g>
  );
  return (
    <svg class={turning ? "reels turning" : "reels"} viewBox="0 0 64 40" width="64" height="40" aria-hidden="true">
      <rect x="1" y="1" width="62" height="38" rx="6" />
      {reel(20)}
      {reel(44)}
      <path d="M20 31h24" />
    </svg>
  );
}
