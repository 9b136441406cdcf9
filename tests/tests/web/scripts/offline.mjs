// The exported page: a file, opened by a browser that has no network.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, conversation, expect, findings, openRecorded, play, press, recorded, shoot, told } from "./drive.mjs";

const NASTY = `</script><img src=x onerror="window.__broken=1"><!--<script>window.__broken=2</script>`;

const talked = await conversation();
const name = `nasty-${Date.now()}`;
const nasty = await new Client({ "user-agent": NASTY }).open({ name: `${name} ${NASTY}`, version: NASTY });
await nasty.call("echo", { text: NASTY, [NASTY]: NASTY });
await nasty.call(NASTY, { [NASTY]: [NASTY] });

/** The page of a session, in a browser that can reach nobody. */
async function opened(page, session) {
  const export_ = await page.request.get(`${told.console}/api/v1/sessions/${session}/export?format=html`);
  expect(export_.ok(), "an export");
  const file = join(told.room, `${session}.html`);
  await writeFile(file, await export_.body());
  const context = await page.context().browser().newContext({ offline: true, viewport: { width: 1200, height: 800 } });
  const offline = await context.newPage();
  const heard = [];
  offline.on("request", (request) => request.url() !== `file://${file}` && heard.push(`asked for ${request.url()}`));
  offline.on("console", (message) => message.type() === "error" && heard.push(message.text()));
  offline.on("pageerror", (error) => heard.push(error.message));
  await offline.goto(`file://${file}`);
  return { offline, heard };
}

await play(async (page) => {
  await openRecorded(page, talked);
  const { offline, heard } = await opened(page, new URL(page.url()).pathname.split("/").at(-1));
  const clock = offline.locator("#clock");
  const here = offline.locator("#list .here");
  await offline.getByRole("heading", { name: "alice@example.com → probe" }).waitFor();
  expect((await clock.textContent()).startsWith("0.000 s of"), "it begins at the beginning");
  const [, end] = (await clock.textContent()).split(" of ");
  expect(Number.parseFloat(end) > 0, `it has a length: ${end}`);

  // By keys: a step, the end, the beginning; then it plays to its end by itself.
  await here.waitFor();
  const first = await here.textContent();
  await press(offline, "ArrowDown");
  expect((await here.textContent()) !== first, "a step on");
  await press(offline, "End");
  expect((await clock.textContent()) === `${end} of ${end}`, "the end");
  await press(offline, "Home");
  expect((await here.textContent()) === first, "the beginning");
  // Slowly at first: at full speed it would have come to its end before anybody looks.
  await offline.getByLabel("Speed").selectOption("0.5");
  await offline.locator("#list").focus();
  await press(offline, "Space");
  await offline.getByRole("button", { name: "Pause" }).waitFor();
  await offline.getByLabel("Speed").selectOption("32");
  await offline.waitForFunction((end) => document.getElementById("clock").textContent === `${end} of ${end}`, end);
  await offline.getByRole("button", { name: "Play" }).waitFor();

  // What was said is found, masks are named, and a place is sought by the slider.
  await offline.getByLabel("Find").fill("permission denied");
  await press(offline, "Enter");
  await offline.locator("#payload", { hasText: "permission denied: billing-prod" }).waitFor();
  await offline.getByLabel("Find").fill("‹redacted:");
  await press(offline, "Enter");
  await offline.locator("#masked", { hasText: "Masked by" }).waitFor();
  await shoot(offline, "offline");
  await offline.getByLabel("Time").fill("0");
  expect((await here.textContent()) === first, "sought back to the beginning");
  const wrong = await findings(offline);
  expect(wrong.length === 0, `no finding:\n${wrong.join("\n")}`);
  expect(heard.length === 0, `it asks nobody: ${heard.join()}`);

  // A client's markup is text there, too.
  const [session] = await recorded(page, `${name} ${NASTY}`, 1, 3);
  const other = await opened(page, session);
  await other.offline.locator("#list li", { hasText: "window.__broken" }).first().waitFor();
  const frames = await other.offline.locator("#list li").count();
  for (let times = 0; times < frames; times += 1) await press(other.offline, "ArrowDown");
  expect((await other.offline.evaluate(() => window.__broken)) === undefined, "no script of a client's runs");
  expect((await other.offline.locator("img").count()) === 0, "no element of a client's");
  expect(other.heard.length === 0, `it asks nobody: ${other.heard.join()}`);
});
