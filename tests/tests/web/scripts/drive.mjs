// The browser and the person before it, and a client that records sessions. What goes wrong on a page by itself (an error in
// the console, a violation of the policy, a request to another host) fails the scenario, whatever it was about.
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { chromium } from "playwright-core";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
const REVISION = "2025-06-18";
/** Longer than anything takes that the page waits for. */
const PATIENCE = 60_000;

export const told = JSON.parse(await text(process.stdin));

/** Runs a scenario with a page whose person is signed in: alice, who is an administrator, unless another is named. */
export async function play(scenario, login = "alice") {
  const browser = await chromium.launch({ executablePath: told.program, args: ARGUMENTS });
  const wrong = [];
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1440, height: 900 }, colorScheme: "light" });
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: told.console });
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => wrong.push(`page: ${error.message}\n${error.stack}`));
    page.on("dialog", (dialog) => {
      wrong.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    // The provider's own pages are not ours to judge.
    const isOurs = () => page.url().startsWith(told.console);
    page.on("console", (message) => {
      // Who is not signed in yet, or asks for what there is not, is told so: the browser calls that an error.
      if (message.type() === "error" && isOurs() && !/status of 40[014]/.test(message.text())) wrong.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      const isAway = request.isNavigationRequest() && origin === told.issuer;
      if (isOurs() && origin !== told.console && protocol !== "data:" && !isAway) wrong.push(`another host: ${request.url()}`);
    });
    await signIn(page, login);
    await scenario(page);
  } catch (error) {
    wrong.push(String(error?.stack ?? error));
  } finally {
    await browser.close();
  }
  if (wrong.length > 0) {
    process.stderr.write(`${wrong.join("\n")}\n`);
    process.exit(1);
  }
}

/** As a person does: the button, then the provider's forms. */
export async function signIn(page, login = "alice") {
  await page.goto(`${told.console}/sessions`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.locator("input[name=login]").fill(login);
  await page.locator("input[name=password]").fill("any password");
  await page.locator("[type=submit]").click();
  const [consent, home] = [page.locator("form [type=submit]"), page.getByRole("navigation", { name: "Pages" })];
  await consent.or(home).first().waitFor();
  if (await consent.count()) await consent.first().click();
  await home.waitFor();
}

export function expect(is, what) {
  if (!is) throw new Error(`expected: ${what}`);
}

/** Presses keys, one after the other. */
export async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** Every finding of the accessibility rules, with where. */
export async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")} ${node.failureSummary}`));
}

/** A picture for whoever asked for pictures. */
export async function shoot(page, name) {
  if (!told.shots) return;
  await mkdir(told.shots, { recursive: true });
  await page.screenshot({ path: join(told.shots, `${name}.png`) });
}

/** An MCP client that says exactly what it is told to. */
export class Client {
  #headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  #id = 0;

  constructor(headers = {}) {
    Object.assign(this.#headers, { authorization: `Bearer ${told.token}` }, headers);
  }

  async open(clientInfo) {
    const params = { protocolVersion: REVISION, capabilities: {}, clientInfo };
    const answer = await this.send({ method: "initialize", params });
    const session = answer.headers.get("mcp-session-id");
    if (session) this.#headers["mcp-session-id"] = session;
    this.#headers["mcp-protocol-version"] = REVISION;
    await this.send({ method: "notifications/initialized" }, false);
    return this;
  }

  /** Sends a message and reads the answer to its end. */
  async send(message, asks = true) {
    const body = { jsonrpc: "2.0", ...(asks ? { id: message.id ?? (this.#id += 1) } : {}), ...message };
    const answer = await fetch(told.probe, { method: "POST", headers: this.#headers, body: JSON.stringify(body) });
    const said = await answer.text();
    return { status: answer.status, headers: answer.headers, said };
  }

  call(name, args, meta) {
    return this.send({ method: "tools/call", params: { name, arguments: args, ...(meta ? { _meta: meta } : {}) } });
  }
}

/** Calls of a conversation. */
const CALLS = 11;

/** A session with something of everything in it. The name of its client, which no other session has: tests run side by side. */
export async function conversation() {
  const name = `desk-assistant-${crypto.randomUUID().slice(0, 4)}`;
  const client = await new Client().open({ name, version: "2.4.0" });
  await client.send({ method: "tools/list" });
  await client.call("echo", { text: "What changed in the billing service since Friday?" });
  await client.call("progress", { steps: 6, every_ms: 120 }, { progressToken: "deploy" });
  await client.call("echo", { text: JSON.stringify({ service: "billing", replicas: 3, regions: ["eu-north-1", "us-east-2"], healthy: true }) });
  await client.call("echo", { text: "Mail anna.lindholm@example.com, the key is AKIAIOSFODNN7EXAMPLE and the card 4111 1111 1111 1111." });
  await client.call("fail", { text: "permission denied: billing-prod is read-only for this role" });
  await client.call("image", { bytes: 400 });
  await client.call("refuse", { code: -32050, message: "the migration is locked by another operator" });
  await client.call("big", { bytes: 20_000 });
  await client.send({ method: "resources/read", params: { uri: "probe://text" } });
  return name;
}

/** Waits until as many sessions of a client of that name are on record, each with as many calls; their ids, newest first. */
export async function recorded(page, client, sessions, calls) {
  for (const until = Date.now() + PATIENCE; ; ) {
    const answer = await page.request.get(`${told.console}/api/v1/sessions?client=${encodeURIComponent(client)}`);
    const { items } = await answer.json();
    if (items.length === sessions && items.every((session) => session.calls >= calls)) return items.map((session) => session.session_id);
    expect(Date.now() < until, `${sessions} sessions of ${client} with ${calls} calls: ${JSON.stringify(items.map((session) => session.calls))}`);
  }
}

/** Waits until the sessions page lists a session that fits; opens it. */
export async function openNewest(page, query = "") {
  const rows = page.locator(".session-rows .session-row");
  for (const until = Date.now() + PATIENCE; ; ) {
    await page.goto(`${told.console}/sessions${query}`);
    await page.locator(".session-rows .session-row, .state h2").first().waitFor();
    if (await rows.count()) break;
    expect(Date.now() < until, "a session in the list");
  }
  await rows.first().getByRole("link").click();
  await page.getByRole("toolbar", { name: "Player" }).waitFor();
}

/** Waits until a conversation is on record with every answer; opens it. */
export async function openRecorded(page, client) {
  const [session] = await recorded(page, client, 1, CALLS);
  for (const until = Date.now() + PATIENCE; ; ) {
    const answer = await page.request.get(`${told.console}/api/v1/sessions/${session}/calls`);
    const { items } = await answer.json();
    const open = items.filter((call) => call.finished === null);
    if (items.length >= CALLS && open.length === 0) break;
    expect(Date.now() < until, `answers to ${open.map((call) => call.method)}`);
  }
  await openNewest(page, `?client=${client}`);
}
