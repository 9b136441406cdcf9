// Whatever a client says is text, wherever it is shown.
import { Client, expect, openNewest, play, press, shoot, told } from "./drive.mjs";

const PAYLOADS = [
  `<img src=x onerror="window.__broken=1">`,
  `<script>window.__broken=2</script>`,
  `"><svg onload=window.__broken=3>`,
  `javascript:window.__broken=4//`,
  `{{constructor.constructor('window.__broken=5')()}}`,
];
const nasty = (number) => PAYLOADS[number % PAYLOADS.length];

const client = await new Client({ "user-agent": nasty(0) }).open({ name: nasty(0), version: nasty(1) });
for (const payload of PAYLOADS) {
  await client.call("echo", { text: payload, [payload]: payload });
  await client.call(payload, { [payload]: [payload] });
  await client.call("fail", { text: payload });
  await client.call("refuse", { code: -32050, message: payload, data: { [payload]: payload } });
  await client.send({ method: payload, id: payload, params: { [payload]: payload } });
  await client.send({ method: "resources/read", params: { uri: payload } });
  await client.send({ method: "notifications/progress", params: { progressToken: payload, progress: 1, message: payload } }, false);
}
// Header fields that a proxy passes, records or refuses; ids that are texts; and titles.
await new Client({ "user-agent": nasty(2), traceparent: nasty(0), "last-event-id": nasty(1) }).send({ method: "tools/list", id: nasty(3) });
await new Client({ "user-agent": nasty(1), "mcp-protocol-version": nasty(0), "mcp-session-id": nasty(4) }).send({ method: "tools/list" });
await new Client({ "user-agent": nasty(3), "content-type": `application/json; a="${nasty(3)}"` }).open({ name: nasty(3), version: nasty(4), title: nasty(0) });
// A picture that is no picture, and characters that turn text around.
await client.call("echo", { text: "left \u202e txet derorrim \u202c right" });

await play(async (page) => {
  const unbroken = async (where) => expect((await page.evaluate(() => window.__broken)) === undefined, `no script of a client's runs ${where}`);
  await openNewest(page, `?client=${encodeURIComponent(nasty(0))}`);
  const session = new URL(page.url()).pathname.split("/").at(-1);
  await page.locator(".session-head").getByText(nasty(0)).waitFor();
  const frames = page.locator(".frames .frame-main");
  await frames.first().waitFor();
  // All of it has arrived when its last words have, and is at the end of the list.
  for (const until = Date.now() + 60_000; ; ) {
    await page.locator(".frames").evaluate((list) => (list.scrollTop = list.scrollHeight));
    if (await page.locator(".frames").getByText("U+202E").count()) break;
    expect(Date.now() < until, "the last words");
  }
  await unbroken("in the player");
  for (let times = 0; times < 60; times += 1) {
    await press(page, "j");
    await page.locator(".detail .part").first().waitFor();
    if (times % 2 === 0) await press(page, "r");
  }
  await unbroken("in an opened frame");
  expect((await page.locator(".detail img[src=x], .frames img, .detail svg[onload], script:not([src])").count()) === 0, "no element of a client's");
  await page.locator(".frames").getByText("window.__broken").first().waitFor();
  await shoot(page, "hostile");
  await press(page, "Escape", "/");
  await page.keyboard.type("__broken");
  await press(page, "Enter");
  await page.locator(".hits mark.found").first().waitFor();
  await unbroken("in what was found");

  // Side by side: calls whose every word is the client's, and sessions.
  for (const query of [`a=${session}.8&b=${session}.10`, `a=${session}&b=${session}`]) {
    await page.goto(`${told.console}/compare?${query}`);
    await page.locator(".compare h1").waitFor();
    await page.locator(".compare").getByText(PAYLOADS[0]).first().waitFor();
    await unbroken(`at /compare?${query}`);
  }
  // Who looked for it is on record, word for word, opened as well.
  await page.goto(`${told.console}/access?action=search`);
  await page.locator(".entry-row").getByText("__broken").first().waitFor();
  for (let times = 0; times < 10; times += 1) {
    await press(page, "j");
    await page.getByRole("complementary", { name: "Opened entry" }).waitFor();
  }
  await unbroken("in an opened entry of the access log");
  await page.goto(`${told.console}/overview`);
  await page.locator(".figures").waitFor();
  await page.locator(".top li").first().waitFor();
  expect((await page.locator("img[src=x], svg[onload], script:not([src])").count()) === 0, "no element of a client's on the overview");

  for (const path of ["/sessions", "/overview", "/live", "/access", "/dead-letters", `/dead-letters?reason=${encodeURIComponent(nasty(0))}`, `/access?user=${encodeURIComponent(nasty(0))}`, "/api/", `/sessions?text=${encodeURIComponent(nasty(1))}`, `/sessions?tool=${encodeURIComponent(nasty(2))}`, `/compare?a=${encodeURIComponent(nasty(0))}&b=x`, `/live?session=${encodeURIComponent(nasty(1))}`]) {
    await page.goto(told.console + path);
    await page.locator("h1, .session-row, .state").first().waitFor();
    await page.waitForLoadState("load");
    await unbroken(`at ${path}`);
  }
  // Facets offer what clients have said.
  await page.goto(`${told.console}/sessions`);
  await page.getByRole("button", { name: "Tool", exact: true }).click();
  await page.getByRole("dialog").getByText(nasty(1)).first().waitFor();
  await unbroken("among the filters");
});
