// A time is brushed over on the chart of sessions, and a closer one on what that shows.
import { conversation, expect, openRecorded, play, press, told } from "./drive.mjs";

const name = await conversation();
await play(async (page) => {
  await openRecorded(page, name);
  await page.goto(`${told.console}/sessions?time=7d`);
  const chart = page.locator(".volume .u-over");
  await chart.waitFor();
  await page.locator(".session-row a").first().waitFor();
  const bounds = () => ["from", "to"].map((name) => Date.parse(new URL(page.url()).searchParams.get(name)));
  const brush = async (from, to) => {
    await page.locator(".volume .u-over").waitFor();
    const box = await chart.boundingBox();
    const at = (part) => [box.x + box.width * part, box.y + box.height / 2];
    await page.mouse.move(...at(from));
    await page.mouse.down();
    await page.mouse.move(...at((from + to) / 2));
    await page.mouse.move(...at(to));
    await page.mouse.up();
  };
  const asked = page.waitForRequest((request) => /\/statistics\?.*from=.*to=/.test(request.url()));
  await brush(0.5, 0.998);
  await page.waitForURL(/from=.*to=/);
  await asked;
  const [from, to] = bounds();
  const days = (to - from) / 86_400_000;
  expect(days > 3 && days < 4, `half of seven days: ${days}`);
  await page.locator(".session-row a").first().waitFor();
  await page.locator(".facet-value", { hasText: "–" }).waitFor();

  // Closer still, on what is shown now; then back, as with any page, and all of it again.
  await page.waitForFunction(() => document.querySelectorAll(".volume canvas").length === 1);
  await brush(0.1, 0.4);
  await page.waitForURL((url) => Date.parse(url.searchParams.get("from")) !== from);
  const [closer, end] = bounds();
  expect(closer >= from && end <= to && end - closer < (to - from) / 2, "a part of the part");
  await page.goBack();
  await page.waitForURL((url) => Date.parse(url.searchParams.get("from")) === from);
  await press(page, "Escape");
  await page.waitForURL(`${told.console}/sessions`);
});
