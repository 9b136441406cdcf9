// What surrounds every page: the way to the others, who is signed in, help, and a short word now and then.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { me, signInAddress, signOut } from "./api/ask";
import { bindings, shown, useKeys } from "./keys";
import { Icon } from "./parts/icon";
import { Reels } from "./parts/states";
import { plain } from "./parts/text";
import { pinned } from "./pages/compare";
import { go, Link, place } from "./route";
import { tell, told } from "./tell";
import { switchTheme, theme } from "./theme";

interface PageOf {
  to: string;
  title: string;
  keys: string;
}

const PAGES: PageOf[] = [
  { to: "/sessions", title: "Sessions", keys: "g s" },
  { to: "/live", title: "Live", keys: "g l" },
  { to: "/overview", title: "Overview", keys: "g o" },
  { to: "/access", title: "Access", keys: "g a" },
];
/** What belongs to no tenant. */
const FOR_ADMINISTRATORS: PageOf[] = [{ to: "/dead-letters", title: "Dead letters", keys: "g d" }];

/** For those who audit tenants, where values can be searched for. */
const FOR_AUDITORS: PageOf[] = [{ to: "/values", title: "Values", keys: "g v" }];

const pages = (): PageOf[] => [
  ...PAGES,
  ...(me.value?.finds_values ? FOR_AUDITORS : []),
  ...(me.value?.roles.includes("administrator") ? FOR_ADMINISTRATORS : []),
];

const help = signal(false);

export function Shell({ children }: { children: ComponentChildren }) {
  useKeys(
    () => [
      ...pages().map(({ to, title, keys }) => ({ keys, does: title, group: "Go to", run: () => go(to) })),
      { keys: "?", does: "Show these keys", group: "Everywhere", run: () => (help.value = !help.peek()) },
      { keys: "t", does: "Dark or light", group: "Everywhere", run: switchTheme },
    ],
    [],
  );
  const path = place.value.path;
  const leave = () => signOut().catch(() => tell("Signing out failed. Try again."));
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <nav class="bar-top" aria-label="Pages">
        <Link class="brand" to="/sessions" aria-label="tapedeck, to the sessions">
          <Reels />
          <span>tapedeck</span>
        </Link>
        {pages().map(({ to, title }) => (
          <Link key={to} class={PAGES.some((page) => page.to === to) ? "tab" : "tab wide"} to={to} aria-current={path === to || path.startsWith(`${to}/`) ? "page" : undefined}>
            {title}
          </Link>
        ))}
        <span class="grow" />
        {pinned.value && (
          <button type="button" class="badge live" onClick={() => (pinned.value = undefined)} title="Forget it">
            comparing one {pinned.value.kind} ×
          </button>
        )}
        <button type="button" class="quiet keys-button" onClick={() => (help.value = true)} aria-label="Keys" title="Keys (?)">
          ?
        </button>
        <button type="button" class="quiet" onClick={switchTheme} aria-label={theme.value === "dark" ? "Light" : "Dark"} title="Dark or light (t)">
          <Icon name={theme.value === "dark" ? "sun" : "moon"} />
        </button>
        <details class="me">
          <summary>{plain(me.value?.name || me.value?.email || me.value?.subject || "")}</summary>
          <div class="menu">
            <p class="soft">
              {plain(me.value?.email ?? "")}
              <br />
              {me.value?.roles.join(", ")} {plain(me.value?.tenants.join(", ") ?? "")}
            </p>
            {pages()
              .slice(PAGES.length)
              .map(({ to, title }) => (
                <Link key={to} class="choice" to={to}>
                  {title}
                </Link>
              ))}
            <a class="choice" href="/api/">
              API
            </a>
            <button type="button" class="choice" onClick={leave}>
              Sign out
            </button>
          </div>
        </details>
      </nav>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      {help.value && <Help />}
      <p class={told.value ? "told" : "told none"} role="status">
        {told.value}
      </p>
    </>
  );
}

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const groups = Map.groupBy(bindings.value, (binding) => binding.group);
  return (
    <dialog ref={dialog} class="help" aria-label="Keys" onClose={() => (help.value = false)} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <header>
        <h2>Keys</h2>
        <span class="grow" />
        <button type="button" class="quiet" aria-label="Close" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </header>
      <div class="help-groups">
        {[...groups].toReversed().map(([group, all]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {[...Map.groupBy(all, (binding) => binding.does)].map(([does, same]) => (
                <div key={does}>
                  <dt>
                    {same.flatMap((binding) => shown(binding.keys)).map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}

export function SignedOut() {
  return (
    <main id="main" class="signed-out">
      <Reels />
      <h1>tapedeck</h1>
      <p>What was called, by whom, and what came back.</p>
      <a class="button primary" href={signInAddress()}>
        Sign in
      </a>
      <p class="soft">Every look at a recording is itself on record.</p>
    </main>
  );
}
