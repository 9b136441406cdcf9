// Dead letters: records that the consumer could not read, and what became of attempts to read them again.
import type { ComponentChildren } from "preact";
import { ask, me } from "../api/ask";
import { useLoaded } from "../api/load";
import type { DeadLetter, OpenedLetter } from "../api/types";
import { bytes, count, NIL, short, when, whole } from "../format";
import { Fields, OpenedEntry, useEntries } from "../parts/entries";
import { Facet } from "../parts/facet";
import { Rows } from "../parts/rows";
import { Empty, Trouble, Waiting } from "../parts/states";
import { plain } from "../parts/text";
import { go, Link, query, withQuery } from "../route";

const ROW = 52;
const STATES = [
  { value: "open", label: "not loaded" },
  { value: "loaded", label: "loaded since" },
];

/** As the command line names it. */
const place = (letter: DeadLetter): string => `${letter.topic}/${letter.partition}/${letter.offset}`;

export function DeadLettersPage() {
  if (!me.value?.roles.includes("administrator")) {
    return (
      <Empty title="This is for administrators" top>
        <p>Records that could not be read belong to no tenant.</p>
      </Empty>
    );
  }
  return <Letters />;
}

function Letters() {
  const parameters = Object.fromEntries(["reason", "topic", "state"].map((name) => [name, query.value.get(name) ?? undefined]));
  const { items, busy, problem, more, again, chosen, list } = useEntries<DeadLetter>("/dead-letters", parameters, "Dead letters", "/dead-letters");
  const set = (name: string) => (value: string | null) => go(withQuery({ [name]: value }));
  const seen = (of: (letter: DeadLetter) => string) => [...new Set(items.map(of))].slice(0, 20).map((value) => ({ value }));
  const isFiltered = Object.values(parameters).some(Boolean);
  return (
    <div class={chosen.value ? "page entries opened" : "page entries"}>
      <header class="page-head">
        <h1>
          Dead letters <small class="soft">records that could not be read, and are not in any session</small>
        </h1>
      </header>
      <div class="filters">
        <Facet name="Reason" value={parameters["reason"] ?? ""} choices={seen((letter) => letter.reason)} choose={set("reason")} />
        <Facet name="Topic" value={parameters["topic"] ?? ""} choices={seen((letter) => letter.topic)} choose={set("topic")} />
        <Facet name="State" value={parameters["state"] ?? ""} choices={STATES} free={false} choose={set("state")} />
      </div>
      {problem ? (
        <Trouble problem={problem} again={again} />
      ) : items.length === 0 && busy ? (
        <Waiting what="dead letters" />
      ) : items.length === 0 ? (
        <Empty title={isFiltered ? "No dead letter fits" : "Every record could be read"}>
          <p>{isFiltered ? "Take a filter away to see more." : "A record that cannot be read appears here, with the reason."}</p>
        </Empty>
      ) : (
        <div class="entries-body">
          <Rows
            class="entry-rows"
            label={`Dead letters, latest first: ${count(items.length)} loaded`}
            count={items.length}
            height={ROW}
            handle={list}
            more={more}
            row={(index) => {
              const letter = items[index];
              return letter ? <Row key={place(letter)} letter={letter} chosen={letter === chosen.value} choose={() => (chosen.value = letter)} /> : <div />;
            }}
          />
          {chosen.value && <Opened key={place(chosen.value)} letter={chosen.value} close={() => (chosen.value = undefined)} />}
        </div>
      )}
    </div>
  );
}

function Row({ letter, chosen, choose }: { letter: DeadLetter; chosen: boolean; choose: () => void }) {
  return (
    <div class={`entry-row ${chosen ? "chosen" : ""}`} role="listitem">
      <span class="number soft" title={whole(letter.time)}>
        {when(letter.time)}
      </span>
      <button type="button" class="entry-main" aria-pressed={chosen} onClick={choose}>
        <span>
          <strong>{plain(letter.reason)}</strong> {letter.retried !== null && <span class="badge">loaded since</span>}
        </span>
        <small class="soft number">{plain(place(letter))}</small>
      </button>
      <span class="soft number entry-size">{bytes(letter.size)}</span>
      <SessionLink id={letter.session_id} />
    </div>
  );
}

function SessionLink({ id }: { id: string }) {
  if (id === NIL) return <span />;
  return (
    <Link class="number" to={`/sessions/${id}`} aria-label={`Session ${id}`}>
      …{short(id)}
    </Link>
  );
}

function Opened({ letter, close }: { letter: DeadLetter; close: () => void }) {
  const path = `/dead-letters/${[letter.source, letter.topic].map(encodeURIComponent).join("/")}/${letter.partition}/${letter.offset}`;
  const opened = useLoaded(path, (given) => ask<OpenedLetter>(path, {}, given));
  const { value, problem } = opened.value;
  const retries = value?.retries ?? [];
  return (
    <OpenedEntry title="Dead letter" close={close}>
      <Fields
        of={[
          ["record", plain(place(letter))],
          ["cluster", plain(letter.source)],
          ["written", whole(letter.time)],
          ["reason", plain(letter.reason)],
          ["size", bytes(letter.size)],
          ["loaded", letter.retried === null ? "no" : whole(letter.retried)],
          ...(letter.session_id === NIL ? [] : [["session", <SessionLink id={letter.session_id} />] as [string, ComponentChildren]]),
        ]}
      />
      <h3>Read again</h3>
      {problem ? (
        <p class="soft">{problem.detail}</p>
      ) : retries.length > 0 ? (
        <Fields of={retries.map((retry) => [whole(retry.requested), `${plain(retry.requested_by)}: ${retry.outcome === "" ? "waits for the consumer" : plain(retry.outcome)}`])} />
      ) : (
        <p class="soft">{value ? "Nobody has tried." : "Loading…"}</p>
      )}
      <p class="soft">
        Once its cause is gone, it is read again by: <code>tapedeck deadletters retry {plain(place(letter))}</code>
      </p>
    </OpenedEntry>
  );
}
