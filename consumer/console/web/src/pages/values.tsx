// Values: sessions that held a value which redaction has replaced by a token. The value stands in no address and no history.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { askBody } from "../api/ask";
import { problemOf } from "../api/load";
import type { Holder, Page, Problem } from "../api/types";
import { count, many, when, whole } from "../format";
import { useKeys } from "../keys";
import { Icon } from "../parts/icon";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain } from "../parts/text";
import { Link } from "../route";

const AT_ONCE = 100;

interface Found {
  items: Holder[];
  next: string | null;
}

export function ValuesPage() {
  const input = useRef<HTMLInputElement>(null);
  const wanted = useSignal("");
  const found = useSignal<Found | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const busy = useSignal(false);

  const find = async (value: string, before: Found | undefined) => {
    wanted.value = value;
    busy.value = true;
    problem.value = undefined;
    if (!before) found.value = undefined;
    try {
      const question = { value, limit: AT_ONCE, ...(before?.next ? { cursor: before.next } : {}) };
      const page = await askBody<Page<Holder>>("/values", question);
      found.value = { items: [...(before?.items ?? []), ...page.items], next: page.next };
    } catch (error) {
      problem.value = problemOf(error);
    }
    busy.value = false;
  };
  useKeys(() => [{ keys: "/", does: "Find a value", group: "Values", run: () => input.current?.focus() }], []);

  return (
    <div class="page values">
      <header class="page-head">
        <h1>
          Values <small class="soft">in which sessions one was, though it is no longer there</small>
        </h1>
      </header>
      <div class="filters">
        <form
          class="search"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const value = input.current?.value.trim() ?? "";
            if (value !== "") void find(value, undefined);
          }}
        >
          <Icon name="search" />
          <input
            ref={input}
            type="search"
            autoComplete="off"
            spellcheck={false}
            placeholder="A card, an e-mail address, a phone number"
            aria-label="A value to find"
            maxLength={512}
          />
        </form>
      </div>
      <Result found={found.value} problem={problem.value} busy={busy.value} more={() => void find(wanted.value, found.value)} />
    </div>
  );
}

function Result({ found, problem, busy, more }: { found: Found | undefined; problem: Problem | undefined; busy: boolean; more: () => void }) {
  if (problem) return <Trouble problem={problem} />;
  if (!found && busy) return <Waiting what="sessions" />;
  if (!found) {
    return (
      <Empty title="No value is looked for yet">
        <p>Recordings hold tokens in place of personal data. Type a value as anybody might write it. That you looked is on record; the value is not.</p>
      </Empty>
    );
  }
  if (found.items.length === 0) {
    return (
      <Empty title="No session held it">
        <p>Values that were masked without a token cannot be found, nor those under keys that the console does not have.</p>
      </Empty>
    );
  }
  return (
    <div class="values-found" tabIndex={0} role="region" aria-label={`Sessions that held the value: ${count(found.items.length)} loaded`}>
      <table class="fields">
        <thead>
          <tr>
            <th scope="col">Latest</th>
            <th scope="col">Session</th>
            <th scope="col">Tenant</th>
            <th scope="col">Target</th>
            <th scope="col">Caller</th>
            <th scope="col">Taken for</th>
            <th scope="col">Frames</th>
          </tr>
        </thead>
        <tbody>
          {found.items.map((holder) => (
            <tr key={holder.session_id}>
              <td title={whole(holder.latest)}>{when(holder.latest)}</td>
              <td>
                <Link to={`/sessions/${holder.session_id}?frame=${holder.session_seq}`}>{holder.session_id}</Link>
              </td>
              <td>{plain(holder.tenant)}</td>
              <td>{plain(holder.target)}</td>
              <td>{plain(holder.subject)}</td>
              <td>{plain(holder.kinds.join(", "))}</td>
              <td class="number">{many(holder.frames, "frame")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.next !== null && (
        <button type="button" class="button" disabled={busy} onClick={more}>
          More
        </button>
      )}
    </div>
  );
}
