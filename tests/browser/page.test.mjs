// The page as people use it: each test opens the built page and does what a person would, waiting for what must come and
// never for a time.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { open, shots, shotsFolder } from "./harness.mjs";
import { closeWorld, command, count, goTo, hasPod, isPlaying, lesson, lessonText, onStage, openWorld, patience, pause, pod, ready, seen, type, world } from "./steps.mjs";

before(openWorld);
after(closeWorld);

test("the lesson's cluster stands on the stage and its first ping is on its way", lesson(async ({ page }) => {
  assert.ok(await isPlaying(page));
  for (const name of ["a", "b", "c"]) await onStage(page, name).waitFor({ ...patience, state: "attached" });
  const at = await seen(page);
  await page.waitForFunction((at) => Number(document.querySelector("[data-testid=count]").textContent.match(/\d+/)[0]) > at, at, patience);
  await page.locator(".stage-picture .token").first().waitFor({ ...patience, state: "attached" });
  assert.match(await page.getByTestId("caption").innerText(), /\S/);
  const policy = await page.locator("meta[http-equiv=Content-Security-Policy]").getAttribute("content");
  assert.match(policy, /default-src 'none'/);
}));

test("Space pauses and plays; steps go forward and back, and the clock with them", lesson(async ({ page }) => {
  await page.locator("body").click({ position: { x: 5, y: 5 } });
  assert.ok(await isPlaying(page));
  await page.keyboard.press("Space");
  assert.equal(await isPlaying(page), false);
  const [at] = await count(page);
  const clock = await page.getByTestId("clock").innerText();
  for (let times = 0; times < 4; times += 1) await page.getByTestId("forward").click();
  assert.equal(await seen(page), at + 4);
  assert.notEqual(await page.getByTestId("clock").innerText(), clock);
  for (let times = 0; times < 4; times += 1) await page.getByTestId("back").click();
  assert.equal(await seen(page), at);
  assert.equal(await page.getByTestId("clock").innerText(), clock);
  await page.locator("body").click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("Space");
  assert.ok(await isPlaying(page));
}));

test("stepping back takes the tables back: what ARP learnt is forgotten again", lesson(async ({ page }) => {
  // After the Pods have come up, before anything was sent.
  await goTo(page, 44);
  await page.locator("[id^=on-stage-pod-default-a]").first().dispatchEvent("click");
  const inspector = page.getByTestId("inspector");
  // The neighbor of Pod a: only its gateway can be one.
  const row = inspector.getByTestId("sheet-neighbors").locator(".sheet-row:not(.is-gone)");
  await page.getByTestId("score").focus();
  const [, all] = await count(page);
  const states = [];
  for (let at = await seen(page); at < all; at += 1) {
    states.push(await row.count());
    if (states.at(-1) > 0) break;
    await page.keyboard.press("ArrowRight");
  }
  assert.equal(states[0], 0, "nothing is known at first");
  assert.ok(states.at(-1) > 0, "the gateway is learnt");
  for (let at = states.length - 1; at > 0; at -= 1) await page.keyboard.press("ArrowLeft");
  await row.first().waitFor({ ...patience, state: "detached" });
}));

test("a Pod typed into the editor comes up on the stage step by step", lesson(async ({ page }) => {
  const [, all] = await count(page);
  await type(page, (await lessonText("ko")) + pod("typed"));
  await hasPod(page, "typed");
  await page.waitForFunction((all) => Number(document.querySelector("[data-testid=count]").textContent.match(/\d+/g)[1]) > all, all, patience);
  await page.locator("[id^=on-stage-pod-default-typed]").first().click();
  const steps = page.getByTestId("inspector").locator(".pod-step");
  await steps.nth(7).waitFor(patience);
  assert.equal(await steps.count(), 8);
}));

test("a command entered before the typing has paused meets the text as it stands in the editor", lesson(async ({ page }) => {
  await hasPod(page, "b");
  await type(page, (await lessonText("ko")) + pod("typed"));
  // At once: an edit is applied 300 milliseconds after the last key, or before the next command.
  await command(page, "kubectl get pod typed -o name", /-o name\s*pod\/typed/);
}));

test("what is wrong stands at its place with a remedy while the network stays; mending it takes the message away", lesson(async ({ page }) => {
  const text = await lessonText("ko");
  const broken = text.replace("image: curlimages/curl", "imagee: curlimages/curl");
  await type(page, broken);
  const problems = page.getByTestId("problems");
  await problems.locator(".problem.error").first().waitFor(patience);
  const line = broken.slice(0, broken.indexOf("imagee")).split("\n").length;
  const all = await problems.innerText();
  assert.match(all, new RegExp(`${line}:\\d+`), "line and column");
  assert.match(all, /spec\.containers\[0\]\.imagee/, "the path");
  assert.match(all, /image/, "the nearest right name");
  await page.locator(".cm-lintRange-error").first().waitFor(patience);
  await hasPod(page, "a");
  await type(page, text);
  await problems.locator(".problem.error").first().waitFor({ ...patience, state: "detached" });
}));

test("both languages and all three themes", lesson(async ({ page }) => {
  assert.equal(await page.getAttribute("html", "lang"), "ko");
  assert.match(await page.getByTestId("share").innerText(), /공유/);
  await page.getByTestId("lang-en").click();
  await page.waitForFunction(() => document.documentElement.lang === "en", undefined, patience);
  assert.match(await page.getByTestId("share").innerText(), /Share/);
  await pause(page);
  assert.doesNotMatch(await page.locator("main").innerText(), /[가-힣]/, "no Korean is left on the stage");
  await page.getByTestId("lang-ko").click();
  await page.waitForFunction(() => document.documentElement.lang === "ko", undefined, patience);
  for (const theme of ["dark", "projector", "light"]) {
    await page.getByTestId("theme-menu").locator("summary").click();
    await page.getByTestId(`theme-${theme}`).check();
    await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, theme, patience);
    await page.keyboard.press("Escape");
  }
}));

test("a device shows its tables, a packet its layers and bytes", lesson(async ({ page }) => {
  await goTo(page, 100);
  await page.locator(".stage-picture .shape-device", { hasText: "cni0" }).first().click();
  const inspector = page.getByTestId("inspector");
  await inspector.getByText(/cni0/).first().waitFor(patience);
  await page.getByTestId("back-to-packet").click();
  await page.locator(".stage-picture .token").first().dispatchEvent("click");
  await page.getByTestId("layers").waitFor(patience);
  assert.match(await page.getByTestId("layers").innerText(), /Ethernet/);
  const bytes = await page.getByTestId("bytes").locator(".byte").allInnerTexts();
  assert.ok(bytes.length >= 42, `${bytes.length} bytes`);
  assert.ok(bytes.every((byte) => /^[0-9a-f]{2}$/.test(byte.trim())));
}));

test("the terminal runs ip route and ping in Pod a", lesson(async ({ page }) => {
  await page.getByTestId("tab-terminal").click();
  await page.getByTestId("terminal-target").selectOption({ label: "Pod a" });
  await page.getByTestId("to-end").click();
  await command(page, "ip route", /default via 10\.244\.1\.1.*10\.244\.0\.0\/16 via 10\.244\.1\.1.*10\.244\.1\.0\/24 dev eth0/);
  await command(page, "ping -c 1 10.244.1.11", /bytes from 10\.244\.1\.11.*1 packets transmitted, 1 (packets )?received/);
}));

test("a share link opens the same lab elsewhere", lesson(async ({ page }) => {
  await type(page, (await lessonText("ko")) + pod("shared"));
  await hasPod(page, "shared");
  await page.getByTestId("to-end").click();
  await page.waitForFunction(() => { const [at, all] = document.querySelector("[data-testid=count]").textContent.match(/\d+/g).map(Number); return at === all; }, undefined, patience);
  await page.getByTestId("share").click();
  const link = await page.getByTestId("share-link").inputValue();
  await page.getByTestId("dialog-close").click();
  const [, all] = await count(page);
  const other = await open(world, { path: link.slice(world.url.length) });
  try {
    await hasPod(other.page, "shared");
    await other.page.waitForFunction((all) => Number(document.querySelector("[data-testid=count]").textContent.match(/\d+/g)[1]) >= all, all, patience);
    assert.equal((await count(other.page))[1], all, "the same events");
    assert.match(await other.page.getByTestId("notice").innerText(), /\S/);
    assert.deepEqual(other.complaints, []);
  } finally {
    await other.context.close();
  }
  for (const bad of [link.slice(0, link.length - 40), link.slice(0, -12) + "AAAAAAAAAAAA", `${world.url}#nonsense`]) {
    const other = await open(world, { path: bad.slice(world.url.length) });
    try {
      await other.page.getByTestId("notice").waitFor(patience);
      assert.match(await other.page.getByTestId("notice").innerText(), /원래 실습/);
      await ready(other.page);
      await hasPod(other.page, "a");
      assert.deepEqual(other.complaints, []);
    } finally {
      await other.context.close();
    }
  }
}));

test("undo, redo and a reload keep the lab", lesson(async ({ page }) => {
  await type(page, (await lessonText("ko")) + pod("kept"));
  await hasPod(page, "kept");
  await page.getByTestId("undo").click();
  await onStage(page, "kept").waitFor({ ...patience, state: "detached" });
  await page.getByTestId("redo").click();
  await hasPod(page, "kept");
  await page.reload();
  await ready(page);
  await hasPod(page, "kept");
  assert.match(await page.getByTestId("editor-text").innerText(patience), /apiVersion/);
}));

test("exports are files that hold something", lesson(async ({ page }) => {
  const get = async (id) => {
    await page.getByTestId("export-menu").locator("summary").click();
    const [download] = await Promise.all([page.waitForEvent("download", patience), page.getByTestId(id).click()]);
    return readFile(await download.path());
  };
  const capture = await get("export-pcapng");
  assert.equal(capture.subarray(0, 4).toString("hex"), "0a0d0d0a");
  assert.ok(capture.length > 1_000, `${capture.length} bytes`);
  const svg = (await get("export-svg")).toString();
  assert.match(svg, /<svg/);
  assert.match(svg, />node1</);
  assert.equal((await get("export-png")).subarray(1, 4).toString(), "PNG");
  assert.match((await get("export-yaml")).toString(), /kind: Pod/);
  assert.ok(JSON.parse((await get("export-log")).toString()).actions.length > 0);
}));

test("bad input gets a message and the page goes on", lesson(async ({ page }) => {
  const problems = page.getByTestId("problems");
  const bomb = Array.from({ length: 12 }, (_, at) => `k${at}: &k${at} [${at ? Array(12).fill(`*k${at - 1}`).join(", ") : "x"}]`).join("\n");
  for (const [name, text] of [["tabs", "kind: Pod\n\tmetadata: {}\n"], ["anchors", bomb], ["kind", "apiVersion: v1\nkind: Podd\nmetadata: {name: x}\n"]]) {
    await type(page, text);
    await problems.locator(".problem.error").first().waitFor(patience);
    assert.match(await problems.innerText(), /\d+:\d+/, name);
  }
  await hasPod(page, "a");
  await type(page, (await lessonText("ko")) + pod("fine"));
  await hasPod(page, "fine");
}));

test("10 MB of YAML is refused in words, and an empty text is an empty cluster", lesson(async ({ page }) => {
  const big = "a: 1\n".repeat(2 * 1024 * 1024);
  await page.getByTestId("open-file").setInputFiles({ name: "big.yaml", mimeType: "text/plain", buffer: Buffer.from(big) });
  await page.getByTestId("problems").locator(".problem.error").first().waitFor({ timeout: 60_000 });
  await hasPod(page, "a");
  await page.getByTestId("open-file").setInputFiles({ name: "empty.yaml", mimeType: "text/plain", buffer: Buffer.from("") });
  await page.getByTestId("problems").locator(".problem.error").first().waitFor({ ...patience, state: "detached" });
  await page.locator("main").waitFor();
}));

test("a name made of HTML is text, never markup", lesson(async ({ page }) => {
  await type(page, (await lessonText("ko")) + pod("\"<img src=x onerror=alert(1)>\""));
  const problems = page.getByTestId("problems");
  await problems.locator(".problem.error").first().waitFor(patience);
  assert.match(await problems.innerText(), /<img src=x/);
  assert.equal(await page.locator("img").count(), 0);
}));

test("everything on the stage is reached by the keyboard alone", lesson(async ({ page }) => {
  await pause(page);
  await page.evaluate(() => document.activeElement.blur());
  let found = false;
  for (let times = 0; times < 60 && !found; times += 1) {
    await page.keyboard.press("Tab");
    found = await page.evaluate(() => document.activeElement.closest(".stage-picture .shape") !== null);
    // The editor keeps Tab for itself until Escape is pressed.
    if (await page.evaluate(() => document.activeElement.closest(".cm-editor") !== null)) await page.keyboard.press("Escape");
  }
  assert.ok(found, "Tab comes to the stage");
  const ids = new Set();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"]) {
    await page.keyboard.press(key);
    ids.add(await page.evaluate(() => document.activeElement.id));
  }
  assert.ok(ids.size >= 3, `arrows go from device to device: ${[...ids]}`);
  await page.keyboard.press("Enter");
  await page.getByTestId("back-to-packet").waitFor(patience);
}));

test("presenting fills the screen in large type, is stepped by a clicker, and gives the page back as it was", lesson(async ({ page }) => {
  await page.getByTestId("lang-en").click();
  await pause(page);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  const before = await theme();
  await page.getByTestId("present").click();
  for (const panel of ["#text", "#inspector"]) await page.locator(panel).waitFor({ ...patience, state: "hidden" });
  assert.equal(await theme(), "projector");
  const stage = await page.locator(".stage").first().boundingBox();
  assert.ok(stage.width >= 1300, `${stage.width}`);
  const at = await seen(page);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("PageDown");
  assert.equal(await seen(page), at + 1);
  await page.keyboard.press("PageUp");
  assert.equal(await seen(page), at);
  await page.getByTestId("present").click();
  await page.locator("#text").waitFor(patience);
  assert.equal(await theme(), before);
}));

test("reduced motion moves nothing but says everything", lesson(async ({ page }) => {
  assert.equal(await page.evaluate(() => document.documentElement.dataset.motion), "reduced");
  // The playhead steps with the mark while it plays.
  const begun = await seen(page);
  await page.waitForFunction((begun) => Number(document.querySelector("[data-testid=count]").textContent.match(/\d+/)[0]) > begun + 1, begun, patience);
  await page.waitForFunction(() => {
    const x = (selector) => document.querySelector(selector)?.getAttribute("transform").match(/[\d.]+/)[0];
    return x(".score-head") === x(".score-mark.is-now");
  }, undefined, { timeout: 3_000 });
  await pause(page);
  await page.locator(".stage-picture.reduced").waitFor({ ...patience, state: "attached" });
  await page.getByTestId("forward").click();
  await page.waitForFunction(() => document.querySelector("[data-testid=live]").textContent.trim() !== "", undefined, patience);
}, { options: { reducedMotion: "reduce" } }));

/** What is seen of the stage: its smallest text in real pixels, the packet, and whatever is cut at the edges. */
const stageSeen = () => {
  const picture = document.querySelector(".stage-picture").getBoundingClientRect();
  const isInside = (element) => {
    const box = element.getBoundingClientRect();
    return box.left > picture.left - 1 && box.right < picture.right + 1 && box.top > picture.top - 1 && box.bottom < picture.bottom + 1;
  };
  const texts = [...document.querySelectorAll(".stage-picture text")].filter((text) => text.getBoundingClientRect().width > 0);
  const sizes = texts.map((text) => [parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a, text.textContent]);
  const sentence = document.querySelector(".stage-sentence");
  return {
    least: sizes.sort((a, b) => a[0] - b[0])[0],
    packets: [...document.querySelectorAll(".token:not(.is-aside):not(.is-waiting)")].filter(isInside).length,
    cut: [...document.querySelectorAll(".stage-picture .shape > rect")].filter((rect) => !isInside(rect)).length,
    sentence: sentence.scrollHeight <= sentence.clientHeight + 1 && sentence.scrollWidth <= sentence.clientWidth + 1,
  };
};

test("at every size, in every theme, text is large enough and the packet in sight; and everything can be seen at once", async () => {
  for (const [width, height] of [[1920, 1080], [1366, 768], [390, 844]]) {
    // Without motion the view is where it goes to.
    const { page, context } = await open(world, { options: { viewport: { width, height }, reducedMotion: "reduce" } });
    await ready(page);
    for (const theme of ["light", "dark", "projector"]) {
      const where = `${width}×${height} ${theme}`;
      await page.getByTestId("theme-menu").locator("summary").click();
      await page.getByTestId(`theme-${theme}`).check();
      await page.keyboard.press("Escape");
      for (const step of [50, 62, 75, 80]) {
        await goTo(page, step);
        await page.waitForTimeout(450);
        const seen = await page.evaluate(stageSeen);
        assert.ok(seen.least[0] >= (theme === "projector" ? 20 : 14) - 0.05, `${where}, step ${step}: “${seen.least[1]}” has ${seen.least[0]} px`);
        assert.ok(seen.packets > 0, `${where}, step ${step}: the packet is out of sight`);
        assert.ok(seen.sentence, `${where}, step ${step}: the sentence is cut`);
      }
      await page.getByTestId("stage.fit").click();
      await page.waitForTimeout(100);
      assert.equal((await page.evaluate(stageSeen)).cut, 0, `${where}: everything is seen at once`);
      const follow = page.getByTestId("follow");
      if (await follow.count()) await follow.click();
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no sideways scrolling at ${width}`);
    const bytes = await page.getByTestId("bytes").locator(".byte-lines").evaluate((lines) => lines.scrollWidth <= lines.clientWidth + 1);
    assert.ok(bytes, `the bytes are whole at ${width}`);
    await context.close();
  }
});

test("what lies beyond the edge of a small stage is named there, and one click away", async () => {
  const { page, context } = await open(world, { options: { viewport: { width: 390, height: 844 }, reducedMotion: "reduce" } });
  await ready(page);
  await goTo(page, 84);
  const left = page.getByTestId("beyond-left");
  await left.waitFor(patience);
  assert.match(await left.textContent(), /node1/);
  await left.click();
  await page.getByTestId("beyond-right").filter({ hasText: "node2" }).waitFor(patience);
  assert.equal(await page.getByTestId("follow").getAttribute("aria-pressed"), "false");
  await page.getByTestId("follow").click();
  await left.waitFor(patience);
  await context.close();
});

/** Contrast of two colours as WCAG 2.2 reckons it. */
function contrast(a, b) {
  const light = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

test("text has a contrast of 4.5 on every ground it stands on, in every theme", async () => {
  const { page, context } = await open(world);
  for (const theme of ["light", "dark", "projector"]) {
    const token = await page.evaluate((theme) => {
      document.documentElement.dataset.theme = theme;
      const style = getComputedStyle(document.documentElement);
      const names = ["background", "panel", "node", "pod", "well", "ink", "ink-2", "arp", "icmp", "tcp", "udp", "tunnel", "drop", "highlight", "strong", "on-strong"];
      return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }, theme);
    const pairs = ["ink", "ink-2"].flatMap((ink) => ["background", "panel", "node", "pod", "well", "highlight"].map((ground) => [ink, ground]));
    pairs.push(["on-strong", "strong"], ["tunnel", "panel"], ["drop", "panel"], ["icmp", "panel"], ["tcp", "panel"], ["udp", "panel"]);
    for (const [ink, ground] of pairs) {
      const got = contrast(token[ink], token[ground]);
      assert.ok(got >= 4.5, `${theme}: ${ink} on ${ground} has ${got.toFixed(2)}`);
    }
    // Shapes need 3 (WCAG 1.4.11); ARP is a shape with a mark on it and never text alone.
    assert.ok(contrast(token.arp, token.panel) >= 3, `${theme}: arp`);
  }
  await context.close();
});

test("pictures of the lesson for people to look at", { skip: !shotsFolder && "set VETHSCOPE_SHOTS to a folder" }, async () => {
  await shots(world, "lesson", async (page, { theme, lang }) => {
    await ready(page);
    await page.getByTestId(`lang-${lang}`).click();
    if (theme === "projector") {
      await page.getByTestId("theme-menu").locator("summary").click();
      await page.getByTestId("theme-projector").check();
      await page.keyboard.press("Escape");
    }
    await goTo(page, 75);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  });
});
