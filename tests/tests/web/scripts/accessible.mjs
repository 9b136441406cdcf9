// Every page in both themes and three sizes: no finding of axe, nothing wider than the window, and a picture for who asks.
import { conversation, expect, findings, openRecorded, play, press, shoot, told } from "./drive.mjs";

const SIZES = [
  { width: 1440, height: 900 },
  { width: 900, height: 800 },
  { width: 360, height: 740 },
];

const name = await conversation();
await play(async (page) => {
  await openRecorded(page, name);
  const session = new URL(page.url()).pathname;
  const row = page.locator(".session-row a").first();
  const pages = [
    ["sessions", "/sessions", async () => {
      await row.waitFor();
      await page.locator(".chart canvas").first().waitFor({ state: "attached" });
    }],
    ["session", session, () => page.locator(".frame-main").first().waitFor()],
    ["frame", session, async () => {
      await page.locator(".frame-main").first().waitFor();
      await press(page, "e");
      await page.locator(".detail .part").first().waitFor();
    }],
    ["live", "/live", () => page.locator(".tail .frame").first().waitFor()],
    ["overview", "/overview", async () => {
      await page.locator(".charts canvas").first().waitFor();
      expect((await page.locator(".figures").boundingBox()).height > 60, "figures that can be read");
    }],
    ["access", "/access", () => page.locator(".entry-row").first().waitFor()],
    ["dead-letters", "/dead-letters", () => page.locator(".entry-row, .state h2").first().waitFor()],
    ["values", "/values", async () => {
      await page.getByLabel("A value to find").fill("4111 1111 1111 1111");
      await page.getByLabel("A value to find").press("Enter");
      await page.locator(".state h2", { hasText: "No session held it" }).waitFor();
    }],
    ["compare", "/compare", () => page.locator(".state h1").waitFor()],
  ];
  const wrong = [];
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const size of SIZES) {
      await page.setViewportSize(size);
      for (const [name, path, ready] of pages) {
        await page.goto(told.console + path);
        await ready();
        const where = `${name}-${theme}-${size.width}`;
        await shoot(page, where);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > size.width) wrong.push(`${where} is ${wide} pixels wide`);
        // What the rules look at is the same in all sizes but for what is hidden.
        if (size.width !== 900) wrong.push(...(await findings(page)).map((finding) => `${where}: ${finding}`));
      }
    }
  }
  expect(wrong.length === 0, `no finding:\n${[...new Set(wrong)].join("\n")}`);
});
