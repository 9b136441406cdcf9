// The few signs that buttons show; each button says in words what it does.
const PATHS = {
  play: "M6 4l14 8-14 8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  back: "M18 5 8 12l10 7zM5 5h2v14H5z",
  next: "M6 5l10 7-10 7zM17 5h2v14h-2z",
  close: "M5 5l14 14M19 5 5 19",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 21 21",
  link: "M10 14a4 4 0 0 0 5.7 0l3.3-3.3a4 4 0 0 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0L5 13.3A4 4 0 0 0 10.700 19L12 17.700",
  mask: "M3 12s3.500-6 9-6 9 6 9 6-3.500 6-9 6-9-6-9-6zM4 20 20 4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z",
  chain: "M9 12h6M10 8H7a4 4 0 0 0 0 8h3M14 8h3a4 4 0 0 1 0 8h-3",
  compare: "M4 4h6v16H4zM14 4h6v16h-6z",
  down: "M6 9l6 6 6-6",
} as const;

export type IconName = keyof typeof PATHS;
const FILLED: readonly IconName[] = ["play", "pause", "back", "next"];

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={FILLED.includes(name) ? "icon filled" : "icon"} viewBox="0 0 24 24" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
