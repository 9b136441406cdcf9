// What an auditor sees, and what a visitor does not.
import { conversation, expect, openRecorded, play, press, recorded, shoot, told } from "./drive.mjs";

const name = await conversation();
let session;
const status = async (page, path) => (await page.request.get(`${told.console}/api/v1${path}`)).status();

await play(async (page) => {
  await openRecorded(page, name);
  session = new URL(page.url()).pathname.split("/").at(-1);
  await page.locator(".frame-main").first().waitFor();
  // An administrator looks for something, which is no auditor's business, and at a session, which is.
  expect((await status(page, "/search?text=only-alice-asked-this")) === 200, "a search");
  expect((await status(page, "/dead-letters")) === 200, "dead letters");
});

await play(async (page) => {
  // The same session: others are recorded meanwhile.
  await page.goto(`${told.console}/sessions/${session}`);
  await page.locator(".frame-main").first().waitFor();
  await page.goto(`${told.console}/sessions`);
  await page.locator(".session-row a").first().waitFor();
  // The tenants are theirs to tell apart.
  await page.getByRole("button", { name: "Tenant", exact: true }).click();
  await page.getByRole("dialog", { name: "Filter by Tenant" }).getByText("default").click();
  await page.waitForURL(/tenant=default/);
  await page.locator(".session-row a").first().waitFor();
  // Who has looked at the tenant's sessions: all do; who has looked for what: each their own.
  await page.goto(`${told.console}/access?session=${session}`);
  await page.locator(".entry-row", { hasText: "alice@example.com" }).first().waitFor();
  await page.locator(".entry-row", { hasText: "olga@example.com" }).first().waitFor();
  await shoot(page, "access-auditor");
  await page.goto(`${told.console}/access?action=search`);
  await page.locator(".entry-row, .state h2").first().waitFor();
  expect((await page.getByText("only-alice-asked-this").count()) === 0, "another person's search is not shown");
  // What belongs to no tenant is not there, by page, by key, or by the API.
  expect((await page.getByRole("link", { name: "Dead letters" }).count()) === 0, "no way to dead letters");
  await press(page, "g", "d");
  await page.goto(`${told.console}/dead-letters`);
  await page.getByRole("heading", { name: "This is for administrators" }).waitFor();
  expect((await status(page, "/dead-letters")) === 403, "the API says so, too");
}, "olga");

await play(async (page) => {
  await page.getByRole("heading", { name: "No session fits" }).waitFor();
  expect((await page.getByRole("button", { name: "Tenant", exact: true }).count()) === 0, "one's own sessions have one tenant");
  await page.goto(`${told.console}/sessions/${session}`);
  await page.getByText("there is no such session, or not for you").waitFor();
  expect((await recorded(page, name, 0, 0)).length === 0, "nothing by the API either");
}, "mallory");
