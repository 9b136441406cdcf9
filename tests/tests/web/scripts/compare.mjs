// Two sessions side by side, chosen by keys in the list.
import { Client, expect, play, press, recorded, shoot, told } from "./drive.mjs";

const name = `compared-${Date.now()}`;
const talk = async (calls) => {
  const client = await new Client().open({ name, version: "1" });
  for (const [tool, args] of calls) await client.call(tool, args);
};
await talk([["echo", { text: "one" }], ["fail", { text: "no" }], ["image", { bytes: 40 }]]);
await talk([["echo", { text: "one" }], ["image", { bytes: 40 }], ["big", { bytes: 400 }]]);

await play(async (page) => {
  const [newer, older] = await recorded(page, name, 2, 4);
  await page.goto(`${told.console}/sessions?client=${name}`);
  await page.locator(".session-row a").nth(1).waitFor();
  await press(page, "j", "c");
  await page.getByText("comparing one session").waitFor();
  await press(page, "j", "c");
  await page.waitForURL(`${told.console}/compare?a=${newer}&b=${older}`);
  await page.getByRole("heading", { name: "Two sessions" }).waitFor();
  const rows = page.locator(".differences tr");
  await rows.first().waitFor();
  const texts = async (selector) => (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " "));
  const differ = await texts(".differences tr.differs");
  expect(differ.length === 2, `two calls differ: ${JSON.stringify(differ)}`);
  expect(differ.some((text) => text.includes("big")) && differ.some((text) => text.includes("fail")), `which: ${JSON.stringify(differ)}`);
  const same = await texts(".differences tr:not(.differs)");
  expect(["echo", "image"].every((tool) => same.some((text) => text.split(tool).length === 3)), `on both sides: ${JSON.stringify(same)}`);
  await shoot(page, "compare-sessions");
  // Each side leads to its session.
  await page.locator(".side-by-side a").last().click();
  await page.waitForURL(`${told.console}/sessions/${older}`);
  await page.getByRole("toolbar", { name: "Player" }).waitFor();
});
