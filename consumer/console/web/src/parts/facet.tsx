// One filter: a button that opens the values that there are, with how many sessions have each.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { compact } from "../format";
import { Icon } from "./icon";
import { plain } from "./text";

export interface Choice {
  value: string;
  label?: string;
  sessions?: number;
}

interface FacetProps {
  name: string;
  value: string;
  choices: Choice[];
  choose: (value: string | null) => void;
  /** Whether other values may be typed in. */
  free?: boolean;
}

export function Facet({ name, value, choices, choose, free = true }: FacetProps) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  // Before anybody sees it, so that what is typed at once goes there.
  useLayoutEffect(() => {
    if (open) box.current?.querySelector<HTMLElement>("input, button.choice")?.focus();
  }, [open]);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  const close = () => {
    setOpen(false);
    setTyped("");
    button.current?.focus();
  };
  const take = (chosen: string | null) => {
    choose(chosen);
    close();
  };
  /** Arrows go from one choice to the next. */
  const move = (event: KeyboardEvent) => {
    // While it is closed, its keys are the page's.
    if (!open) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      return close();
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const places = [...(box.current?.querySelectorAll<HTMLElement>(".menu input, .menu button") ?? [])];
    const at = places.indexOf(document.activeElement as HTMLElement);
    places[(at + (event.key === "ArrowDown" ? 1 : -1) + places.length) % places.length]?.focus();
  };
  const fitting = choices.filter((choice) => (choice.label ?? choice.value).toLowerCase().includes(typed.toLowerCase()));
  const label = choices.find((choice) => choice.value === value)?.label ?? value;
  return (
    <div class="facet" ref={box} onKeyDown={move}>
      <button type="button" ref={button} class={value ? "button chosen" : "button"} aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        <span class={value ? "facet-name" : ""}>{name}</span>
        {value && <span class="facet-value">{plain(label)}</span>}
        <Icon name="down" />
      </button>
      {open && (
        <div class="menu" role="dialog" aria-label={`Filter by ${name}`}>
          {free && (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                if (typed.trim()) take(typed.trim());
              }}
            >
              <input type="text" placeholder={`${name}…`} aria-label={name} value={typed} maxLength={512} onInput={(event) => setTyped(event.currentTarget.value)} />
            </form>
          )}
          {fitting.map((choice) => (
            <button type="button" class="choice" key={choice.value} aria-pressed={choice.value === value} onClick={() => take(choice.value)}>
              <span>{plain(choice.label ?? choice.value)}</span>
              {choice.sessions !== undefined && <span class="soft number">{compact(choice.sessions)}</span>}
            </button>
          ))}
          {fitting.length === 0 && <p class="soft">{free ? "Press Enter to filter by what you typed." : "Nothing to choose."}</p>}
          {value && (
            <button type="button" class="choice clear" onClick={() => take(null)}>
              Any {name.toLowerCase()}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
