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
// A picture that is no picture, and characters that turn text around.
await client.call("echo", { text: "left \u202e txet derorrim \u202c right" });

await play(async (page) => {
  const unbroken = async (where) => expect((await page.evaluate(() => window.__broken)) === undefined, `no script of a client's runs ${where}`);
  await openNewest(page, `?client=${encodeURIComponent(nasty(0))}`);
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

  for (const path of ["/sessions", "/overview", "/live", "/access", `/sessions?text=${encodeURIComponent(nasty(1))}`, `/sessions?tool=${encodeURIComponent(nasty(2))}`, `/compare?a=${encodeURIComponent(nasty(0))}&b=x`, `/live?session=${encodeURIComponent(nasty(1))}`]) {
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
