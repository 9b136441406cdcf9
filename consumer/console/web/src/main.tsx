// The console's pages. Who is signed in is asked first; the address says which page.
import { render } from "preact";
import { me, whoAmI } from "./api/ask";
import { problemOf } from "./api/load";
import { signal } from "@preact/signals";
import type { Problem } from "./api/types";
import { AccessPage } from "./pages/access";
import { ComparePage } from "./pages/compare";
import { DeadLettersPage } from "./pages/dead_letters";
import { LivePage } from "./pages/live";
import { OverviewPage } from "./pages/overview";
import { SessionPage } from "./pages/session";
import { SessionsPage } from "./pages/sessions";
import { ValuesPage } from "./pages/values";
import { Empty, Trouble, Waiting } from "./parts/states";
import { Link, place } from "./route";
import { Shell, SignedOut } from "./shell";
import "./theme";

const failed = signal<Problem | undefined>(undefined);

function begin(): void {
  failed.value = undefined;
  whoAmI().catch((error: unknown) => (failed.value = problemOf(error)));
}

const TITLES: Record<string, string> = { live: "Live", overview: "Overview", access: "Access", values: "Values", compare: "Compare", "dead-letters": "Dead letters" };

function page() {
  const [, first = "", second = ""] = place.value.path.split("/");
  document.title = `${second ? "Session" : (TITLES[first] ?? "Sessions")} · tapedeck`;
  switch (first) {
    case "":
    case "sessions":
      return second ? <SessionPage key={second} id={second} /> : <SessionsPage />;
    case "live":
      return <LivePage />;
    case "overview":
      return <OverviewPage />;
    case "access":
      return <AccessPage />;
    case "dead-letters":
      return <DeadLettersPage />;
    case "values":
      return <ValuesPage />;
    case "compare":
      return <ComparePage />;
    default:
      return (
        <Empty title="There is no such page" top>
          <Link class="button" to="/sessions">
            To the sessions
          </Link>
        </Empty>
      );
  }
}

function App() {
  if (failed.value) return <Trouble problem={failed.value} again={begin} />;
  if (me.value === undefined) return <Waiting what="the console" />;
  if (me.value === null) return <SignedOut />;
  return <Shell>{page()}</Shell>;
}

begin();
const root = document.getElementById("app");
if (root) render(<App />, root);
