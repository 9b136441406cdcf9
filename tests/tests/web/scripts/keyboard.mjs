// Every page, worked by keys alone.
import { conversation, expect, openRecorded, play, press, shoot, told } from "./drive.mjs";

const name = await conversation();
await play(async (page) => {
  const heading = (name) => page.getByRole("heading", { name, exact: false }).first();
  await openRecorded(page, name);
  const heard = page.locator(".frames-heard");
  const at = async () => Number((await heard.textContent()).split("/")[0].replaceAll(/\D/g, ""));
  const all = await at();
  expect(all > 20, `all frames are heard at first: ${all}`);

  // Rewind, step, play to the end.
  await press(page, "Home");
  expect((await at()) === 0, "the beginning");
  await page.getByText("frames to come").waitFor();
  await press(page, "ArrowRight", "ArrowRight");
  const two = await at();
  expect(two >= 2 && two < all, `two steps on: ${two}`);
  await press(page, "ArrowLeft");
  expect((await at()) < two, "one step back");
  for (let times = 0; times < 6; times += 1) await press(page, "]");
  expect((await page.getByLabel("Speed").inputValue()) === "32", "the fastest");
  await press(page, "Space");
  await page.waitForFunction(() => !document.querySelector(".to-come"));
  expect((await at()) === all, "played to the end");

  // What went wrong, raw and readable, and a link to it.
  await press(page, "e");
  await page.getByRole("complementary", { name: "Opened frame" }).waitFor();
  await page.getByText("permission denied: billing-prod").first().waitFor();
  await shoot(page, "session-error");
  await press(page, "r");
  await page.locator("pre.raw").first().waitFor();
  await press(page, "r", "y");
  await page.waitForURL(/frame=\d+/);
  const link = page.url();
  const number = new URL(link).searchParams.get("frame");
  await page.goto(link);
  await page.getByRole("heading", { name: `Frame ${number}` }).waitFor();

  // Masks name their rules; progress is at its time.
  await press(page, "Escape");
  await page.getByRole("button", { name: /masked/ }).first().click();
  await page.locator(".masks .badge").first().waitFor();
  await shoot(page, "session-masked");

  // Search inside, then two calls side by side.
  await press(page, "Escape", "/");
  await page.keyboard.type("billing");
  await press(page, "Enter");
  await page.locator(".hits mark.found").first().waitFor();
  await page.locator(".hits button").first().click();
  await page.keyboard.press("c");
  await page.locator(".hits button").last().click();
  await press(page, "c");
  await page.waitForURL(/\/compare\?a=/);
  await heading("Two calls").waitFor();
  await page.locator(".compare h2").first().waitFor();
  await shoot(page, "compare");

  // The other pages by two keys, and the keys themselves.
  await press(page, "g", "o");
  await heading("Overview").waitFor();
  await page.locator(".figures").waitFor();
  await page.locator(".charts canvas").first().waitFor();
  await press(page, "g", "a");
  await heading("Access").waitFor();
  await page.locator(".entry-row").first().waitFor();
  await press(page, "j", "j");
  await page.getByRole("complementary", { name: "Opened entry" }).waitFor();
  await press(page, "g", "l");
  await heading("Live").waitFor();
  await press(page, "g", "s");
  await page.locator(".session-row").first().waitFor();
  await press(page, "?");
  const help = page.getByRole("dialog", { name: "Keys" });
  await help.waitFor();
  await help.getByText("Next session").waitFor();
  await shoot(page, "help");
  await press(page, "Escape");
  await help.waitFor({ state: "detached" });
  await press(page, "j", "Enter");
  await page.waitForURL(/\/sessions\/[0-9a-f-]{36}/);

  // Filters are in the address.
  await press(page, "g", "s");
  await page.getByRole("button", { name: "Tool", exact: true }).click();
  await page.getByRole("dialog", { name: "Filter by Tool" }).waitFor();
  await page.keyboard.type("echo");
  await press(page, "Enter");
  await page.waitForURL(/tool=echo/);
  await press(page, "/");
  await page.keyboard.type("nobody ever said this");
  await press(page, "Enter");
  await page.getByRole("heading", { name: "No session fits" }).waitFor();
  await shoot(page, "sessions-empty");

  // Dark, and still so after a reload; then out, here and at the provider.
  await press(page, "Escape", "t");
  await page.locator("html[data-theme=dark]").waitFor();
  await page.reload();
  await page.locator("html[data-theme=dark]").waitFor();
  await page.locator(".me summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.origin === told.issuer);
  await page.goto(`${told.console}/access`);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
});
