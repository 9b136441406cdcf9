// A session of 100,000 frames: it is there at once, and few of its frames are ever asked for.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, play, press, shoot, told } from "./drive.mjs";

await play(async (page) => {
  const asked = [];
  page.on("request", (request) => {
    if (/\/frames\?/.test(request.url())) asked.push(request.url());
  });
  await page.goto(`${told.console}/sessions/${told.about.session}`);
  const row = (number) => page.locator(`.frame[data-number="${number}"] .frame-main`);
  await row(1).waitFor();
  const first = await page.evaluate(() => performance.now());
  await page.getByText("100,000 / 100,000 frames").waitFor();
  const rows = () => page.locator(".frames [role=listitem]").count();
  expect((await rows()) < 80, "only rows in sight exist");

  // Anywhere on the tape by one click; what is in sight there is fetched, and nothing between.
  const canvas = page.getByRole("slider", { name: "Place on the tape" });
  const box = await canvas.boundingBox();
  const before = Date.now();
  await canvas.click({ position: { x: box.width / 2, y: 4 } });
  await page.waitForFunction(() => document.querySelectorAll(".frames .bone").length === 0);
  const scrub = Date.now() - before;
  const heard = Number((await page.locator(".frames-heard").textContent()).split("/")[0].replaceAll(/\D/g, ""));
  expect(heard > 48_000 && heard < 52_000, `the middle: ${heard}`);
  await row(heard).waitFor();
  await shoot(page, "session-long");

  // The next error is one key away, wherever it is, and the end another.
  await press(page, "Home", "e");
  await page.getByRole("heading", { name: "Frame 200", exact: true }).waitFor();
  await press(page, "Escape", "End");
  await row(100_000).waitFor();
  expect((await rows()) < 80, "still only rows in sight");
  expect(asked.length < 12, `frames are asked for where somebody looks: ${asked.length} times`);
  if (told.shots) await writeFile(join(told.shots, "long.json"), JSON.stringify({ first, scrub, asked: asked.length }));
});
