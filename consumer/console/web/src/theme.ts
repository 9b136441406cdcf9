// Dark or light: as the system has it, until somebody chooses.
import { effect, signal } from "@preact/signals";

type Theme = "light" | "dark";
const KEY = "tapedeck-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme | undefined {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : undefined;
}

export const theme = signal<Theme>(chosen() ?? (system.matches ? "dark" : "light"));

system.addEventListener("change", () => {
  if (chosen() === undefined) theme.value = system.matches ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function switchTheme(): void {
  theme.value = theme.peek() === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, theme.peek());
}

/** A colour of the style sheet, for canvases. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
