// A shell in a container: its prompt, lines typed at it, Ctrl-C, undo, and a link that keeps them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { shotsFolder } from "./harness.mjs";
import { closeWorld, command, goTo, hasPod, lesson, openWorld, patience, pause, seen } from "./steps.mjs";

before(openWorld);
after(closeWorld);

const shown = (page) => page.evaluate(() =>
  [...document.querySelectorAll(".terminal .xterm-rows > div")].map((row) => row.textContent.replaceAll("\u00a0", " ").trimEnd()).join("\n"));

/** Waits until the terminal shows this at the end of the timeline. */
async function shows(page, pattern) {
  await page.waitForFunction((source) => {
    document.querySelector("[data-testid=to-end]").click();
    const rows = [...document.querySelectorAll(".terminal .xterm-rows > div")];
    return new RegExp(source, "s").test(rows.map((row) => row.textContent.replaceAll("\u00a0", " ").trimEnd()).join("\n"));
  }, pattern.source, { ...patience, polling: 300 });
}

test("a shell in a container takes lines, Ctrl-C and Ctrl-D, and stepping back takes them back", lesson(async ({ page }) => {
  await hasPod(page, "a");
  await command(page, "kubectl exec -it b -- bash", /root@b:\/# /);
  await page.keyboard.type("cd /etc");
  await page.keyboard.press("Enter");
  await shows(page, /root@b:\/etc#\s*$/);
  await page.keyboard.type("hostname");
  await page.keyboard.press("Enter");
  await shows(page, /hostname\nb\nroot@b:\/etc#\s*$/);
  const before = await seen(page);
  await page.keyboard.type("ping -c 1 10.244.1.10");
  await page.keyboard.press("Enter");
  await shows(page, /1 packets transmitted, 1 received.*root@b:\/etc#\s*$/);
  // Ctrl-C ends the program that runs, not the shell.
  await page.keyboard.type("ping 10.244.1.10");
  await page.keyboard.press("Enter");
  await shows(page, /ping 10\.244\.1\.10\nPING.*icmp_seq=1/);
  await page.keyboard.press("Control+c");
  await shows(page, /\^C\n--- 10\.244\.1\.10 ping statistics ---.*root@b:\/etc#\s*$/);
  if (shotsFolder) await page.screenshot({ path: join(shotsFolder, "shell.png") });
  // Time travel takes the lines back.
  await pause(page);
  await goTo(page, before - 1);
  assert.doesNotMatch(await shown(page), /1 packets transmitted/);
  await page.getByTestId("to-end").click();
  await page.locator(".terminal .xterm").first().click();
  await page.keyboard.type("exit 3");
  await page.keyboard.press("Enter");
  await shows(page, /exit 3\nexit\ncommand terminated with exit code 3\n/);
  // The last line is taken back: the shell asks again.
  await page.getByTestId("undo").click();
  await shows(page, /ping statistics ---\n[^#]*root@b:\/etc#\s*$/);
  await page.locator(".terminal .xterm").first().click();
  await page.keyboard.press("Control+d");
  await shows(page, /root@b:\/etc# exit\nroot@a:\/#\s*$/);
}));
