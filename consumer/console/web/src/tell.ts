// A short word to whoever sits there, which goes by itself.
import { signal } from "@preact/signals";

const LASTS = 4000;
export const told = signal<string | undefined>(undefined);
let timer: number | undefined;

export function tell(text: string): void {
  told.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => (told.value = undefined), LASTS);
}
