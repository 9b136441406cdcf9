// Dead letters, by keys.
import { expect, findings, play, press, shoot, told } from "./drive.mjs";

const { topic, place, who } = told.about;

await play(async (page) => {
  await press(page, "g", "d");
  await page.waitForURL(`${told.console}/dead-letters`);
  await page.getByRole("heading", { name: "Dead letters" }).waitFor();
  await page.locator(".entry-row", { hasText: place }).waitFor();
  await press(page, "j");
  const opened = page.getByRole("complementary", { name: "Opened entry" });
  await opened.waitFor();
  for (const said of [place, "Read again", who, `tapedeck deadletters retry ${place}`]) await opened.getByText(said).first().waitFor();
  expect((await page.evaluate(() => window.__broken)) === undefined && (await opened.locator("img").count()) === 0, "a name is text");
  await shoot(page, "dead-letters");
  const wrong = await findings(page);
  expect(wrong.length === 0, `no finding:\n${wrong.join("\n")}`);
  await press(page, "Escape");
  await opened.waitFor({ state: "detached" });

  // Filters are in the address, and worked by keys.
  const filter = async (name, choose) => {
    await page.getByRole("button", { name, exact: false }).first().focus();
    await press(page, "Enter");
    await page.getByRole("dialog", { name: `Filter by ${name}` }).waitFor();
    await choose();
  };
  await filter("State", () => press(page, "Enter"));
  await page.waitForURL(/state=open/);
  await page.locator(".entry-row", { hasText: place }).waitFor();
  await filter("Topic", async () => {
    await page.keyboard.type(topic);
    await press(page, "Enter");
  });
  await page.waitForURL((url) => url.searchParams.get("topic") === topic);
  await page.locator(".entry-row", { hasText: place }).waitFor();
  await filter("Reason", async () => {
    await page.keyboard.type("nothing_of_the_kind");
    await press(page, "Enter");
  });
  await page.getByRole("heading", { name: "No dead letter fits" }).waitFor();
  await press(page, "Escape");
  await page.waitForURL(`${told.console}/dead-letters`);
  await page.locator(".entry-row", { hasText: place }).waitFor();
});
