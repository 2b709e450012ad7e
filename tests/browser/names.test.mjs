// Names: one lookup followed in both languages, the search list unrolled, and the Corefile edited, broken and mended.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeWorld, command, hasPod, labelled, lesson, lessonText, openView, openWorld, patience, pause, type } from "./steps.mjs";

before(openWorld);
after(closeWorld);

/** The lesson with a Corefile of this text. */
const withCorefile = async (corefile) => `${labelled(await lessonText("ko"))}---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
${corefile.trim().split("\n").map((line) => `    ${line}`).join("\n")}
`;
const plain = `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa
    forward . /etc/resolv.conf
}`;

test("a name's search list is unrolled, each question with what CoreDNS's plugins did", lesson(async ({ page }) => {
  await type(page, labelled(await lessonText("ko")));
  await hasPod(page, "b");
  await openView(page, "names");
  const name = page.getByTestId("names-name");
  await name.fill("web");
  const tries = page.getByTestId("names-tries").locator(".names-try");
  await tries.first().waitFor(patience);
  assert.match(await page.getByTestId("names-rule").innerText(), /ndots:5/);
  assert.match(await tries.first().innerText(), /web\.default\.svc\.cluster\.local\./);
  // The Service comes a moment after its text, and the name is looked up again by itself.
  await page.locator(".names-try.is-found").waitFor(patience);
  assert.match(await tries.first().getAttribute("class"), /is-found/);
  await tries.first().locator("summary").first().click();
  assert.match(await tries.first().innerText(), /10\.96\.0\.80[\s\S]*kubernetes/);
  // What it costs in other ways: a row for each, in the words of the page.
  await page.getByTestId("names-compare").click();
  const ways = page.getByTestId("names-compare-table").locator("tbody tr");
  await page.waitForFunction(() => document.querySelectorAll("[data-testid=names-compare-table] tbody tr").length === 11, undefined, { timeout: 120_000 });
  assert.match(await page.getByTestId("names-compare-table").locator("caption").innerText(), /getent ahosts web$/);
  assert.match(await ways.nth(0).innerText(), /ndots:5\s+2000\s+0\s+0\s+0\s+[\d.]+ ms/);
  assert.match(await ways.nth(4).innerText(), /musl\s+2000/);
  assert.equal(await page.getByTestId("names-compare-table").locator("td.number").count(), 66);
  await page.waitForFunction(() => !document.querySelector("[data-testid=names-compare]").disabled, undefined, patience);
  await name.fill("nowhere.example");
  await page.waitForFunction(() => document.querySelectorAll(".names-try:not(.is-found)").length === 4, undefined, patience);
  assert.match(await page.getByTestId("names-total").innerText(), /8개/);
  await name.fill("nowhere.example.");
  await page.waitForFunction(() => document.querySelectorAll(".names-try").length === 1, undefined, patience);
  await name.fill("-..-");
  await page.getByTestId("names-problem").waitFor(patience);
}));

/** One lookup followed, from the command to the bits of its question. */
const follow = (lang) => async ({ page }) => {
  await type(page, labelled(await lessonText(lang)));
  await hasPod(page, "b");
  await command(page, "dig +short example.com", /203\.0\.113\.10/);
  await pause(page);
  await openView(page, "names");
  const rows = page.getByTestId("names-packets").locator("tbody tr");
  await page.waitForFunction(() => document.querySelectorAll("[data-testid=names-packets] tbody tr").length > 0, undefined, { timeout: 60_000 });
  const row = rows.filter({ hasText: "example.com. A" }).first();
  await row.waitFor(patience);
  assert.match(await row.innerText(), /0x[0-9a-f]{4}[\s\S]*10\.96\.0\.10/);
  // The first question stands before its answer: going to it takes the answer back.
  await row.locator(".names-go").click();
  await page.waitForFunction(() => !/NOERROR|NODATA/.test([...document.querySelectorAll("[data-testid=names-packets] tbody tr")].at(-1).innerText), undefined, patience);
  // The zone follows what the cluster holds.
  await page.getByTestId("names-zone").locator("summary").click();
  await page.getByTestId("names-zone-table").locator("tr").first().waitFor(patience);
  assert.match(await page.getByTestId("names-zone-table").innerText(), /kube-dns\.kube-system\.svc\.cluster\.local\.\s+30\s+A\s+10\.96\.0\.10/);
  await page.getByTestId("view-close").click();
  const layer = page.getByTestId("layers").locator(".layer-head", { hasText: /^DNS/ }).first();
  await layer.waitFor(patience);
  await layer.click();
  const layers = await page.getByTestId("layers").innerText();
  assert.match(layers, /RD \(recursion desired\)[\s\S]*1 \(set\)[\s\S]*\.\.\.\. \.\.\.1/);
};

for (const [lang, locale] of [["ko", "ko-KR"], ["en", "en-US"]]) {
  test(`one lookup is followed to the bits of its question: ${lang}`, lesson(follow(lang), { options: { locale } }));
}

test("an edited Corefile changes the chain of plugins; a broken one says what and where, and mended it answers again", lesson(async ({ page }) => {
  await type(page, await withCorefile(plain));
  await hasPod(page, "b");
  await openView(page, "names");
  const chain = page.locator(".names-try.is-found .names-plugins").first();
  // CoreDNS comes up, or reads its Corefile, a moment after the text.
  const says = (source) => page.waitForFunction((source) => {
    const said = [...document.querySelectorAll("[data-testid=names-tries], [data-testid=names-problem]")];
    return new RegExp(source, "s").test(said.map((one) => one.textContent).join("\n"));
  }, source, patience);
  await page.getByTestId("names-name").fill("web");
  await says("10\\.96\\.0\\.80.*kubernetes");
  assert.doesNotMatch(await chain.evaluate((list) => list.textContent), /cache/);
  await page.keyboard.press("Escape");
  await type(page, await withCorefile(plain.replace("    forward", "    cache 30\n    forward")));
  await openView(page, "names");
  await says("10\\.96\\.0\\.80.*cache");
  assert.match(await chain.evaluate((list) => list.textContent), /cache[\s\S]*kubernetes/);
  await page.keyboard.press("Escape");
  await type(page, await withCorefile(plain.replace("forward", "forwad")));
  await openView(page, "names");
  await says("Corefile:6 - Error during parsing: Unknown directive 'forwad'");
  await page.keyboard.press("Escape");
  await type(page, await withCorefile(plain));
  await openView(page, "names");
  await says("10\\.96\\.0\\.80.*kubernetes");
}));
