// A session is recorded while pages watch.
import { Client, expect, openNewest, play, shoot, told } from "./drive.mjs";

await play(async (page) => {
  await page.goto(`${told.console}/live`);
  await page.locator(".pulse.open").waitFor();
  const name = `watched-${Date.now()}`;
  const client = await new Client().open({ name, version: "1" });
  await client.call("echo", { text: "the first words" });
  await page.locator(".open-sessions button", { hasText: name }).click();
  await page.locator(".tail").getByText("the first words").first().waitFor();
  await client.call("echo", { text: "heard as it is said" });
  await page.locator(".tail").getByText("heard as it is said").first().waitFor();
  await shoot(page, "live");

  // The player goes on with a session that does.
  await openNewest(page, `?client=${name}`);
  await page.getByRole("button", { name: "following" }).waitFor();
  await client.call("fail", { text: "this one went wrong just now" });
  await page.locator(".frames").getByText("this one went wrong just now").first().waitFor();
  await client.call("progress", { steps: 3, every_ms: 50 }, { progressToken: 7 });
  await page.locator(".frames").getByText("step 3 of 3").first().waitFor();

  // The list of sessions hears of a new one by itself.
  await page.goto(`${told.console}/sessions`);
  await page.locator(".session-row a").first().waitFor();
  const another = `another-${Date.now()}`;
  await new Client().open({ name: another, version: "1" });
  await page.locator(".session-rows").getByText(another).waitFor();
  expect(true, "all of it was seen");
});
