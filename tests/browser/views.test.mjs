// The views beside the stage: the walk through netfilter, TCP conversations, captures, the life of a Pod, Services and
// the comparison of networks, each used as a person would.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { closeWorld, command, goTo, hasPod, labelled, lesson, lessonText, openView, openWorld, patience, pause, ready, type, world } from "./steps.mjs";
import { open } from "./harness.mjs";

before(openWorld);
after(closeWorld);

const tab = async (page, name) => page.locator(`#time-tab-${name}`).click();

test("a page is fetched through a Service: conversation, translation, rules and the Service's picture agree", lesson(async ({ page }) => {
  await type(page, labelled(await lessonText("ko")));
  await hasPod(page, "b");
  await command(page, "curl -s http://10.96.0.80:8080/", /Welcome to nginx/);
  await pause(page);

  await tab(page, "tcp");
  const rows = page.locator(".tcp-ladder .ladder-row");
  await rows.first().waitFor(patience);
  assert.match(await page.getByTestId("tcp-choice").innerText(), /→ 10\.96\.0\.80:8080/);
  await rows.first().evaluate((row) => row.closest(".tcp-ladder").scrollTo(0, 0));
  const texts = await page.locator(".tcp-text").allTextContents();
  assert.match(texts[0], /^SYN\s+seq 0\s+win \d+\s+mss 1410/);
  assert.match(texts[1], /^SYN ACK\s+seq 0\s+ack 1/);
  assert.ok((await page.locator(".tcp-state-name").allTextContents()).includes("ESTABLISHED"));

  // Step by step from the first segment until its address is translated.
  await rows.locator(".tcp-text", { hasText: /^SYN\s+seq/ }).first().dispatchEvent("click");
  const nat = page.getByTestId("nat");
  for (let times = 0; times < 12 && (await nat.count()) === 0; times += 1) await page.getByTestId("forward").click();
  assert.match(await nat.innerText(), /10\.96\.0\.80:8080[\s\S]*10\.244\.2\.10:80/);
  const walk = page.getByTestId("walk");
  assert.match(await walk.innerText(), /KUBE-SERVICES[\s\S]*KUBE-SVC-[\s\S]*KUBE-SEP-/);
  assert.match(await walk.locator(".walk-rule.ends").first().innerText(), /DNAT --to-destination 10\.244\.2\.10:80/);

  await openView(page, "services");
  assert.match(await page.locator(".services-card h3").first().innerText(), /^web/, "one's own Services come before the cluster's");
  const card = page.getByTestId("service-web");
  assert.match(await card.innerText(), /10\.96\.0\.80:8080\/TCP/);
  assert.match(await card.locator(".services-rule.is-fitted").last().innerText(), /DNAT/);
  assert.match(await card.locator(".services-endpoint.is-lit").innerText(), /10\.244\.2\.10:80[\s\S]*b · node2/);
  await page.keyboard.press("Escape");
  await page.getByTestId("view-services").waitFor({ ...patience, state: "detached" });
}));

test("what containers say beside the network is drawn between them, and the view compares the ways", lesson(async ({ page }) => {
  await type(page, await readFile(new URL("../../src/lab/lessons/templates/inside.yaml", import.meta.url), "utf8"));
  await hasPod(page, "within");
  // The Pod of the lesson is gone with its text, so commands run in the first place that is there.
  await page.waitForFunction(() => document.querySelector("[data-testid=terminal-target]").value.startsWith("pod/default/within/"), undefined, patience);
  await page.getByTestId("tab-terminal").click();
  await page.getByTestId("terminal-target").selectOption("pod/default/within/writer");
  await command(page, "echo over the pipe > /shared/pipe", /shared\/pipe/);
  await command(page, "echo in the file > /shared/file; cat /shared/file", /in the file\s*root@/);
  await page.getByTestId("open-within").dispatchEvent("click");
  const row = (way) => page.getByTestId(`within-${way}`);
  await row("fifo").waitFor(patience);
  assert.match(await row("fifo").innerText(), /1 × · 14 B/);
  assert.match(await row("file").innerText(), /shared: reader, writer[\s\S]*1 × · 12 B/);
  const uses = page.getByTestId("within-uses").locator("button");
  assert.match(await uses.last().innerText(), /writer → reader/);
  await uses.last().click();
  await page.keyboard.press("Escape");
  await page.getByTestId("within-lines").locator(".within-line.is-kernel").waitFor({ ...patience, state: "attached" });
  assert.match(await page.locator(".stage-picture .note").first().textContent(), /\/shared\/pipe/);
}));

test("a capture speaks as tcpdump does, points at what is wrong in a filter, and is a file for Wireshark", lesson(async ({ page }) => {
  await goTo(page, 75);
  await page.locator(".stage-picture .shape-device", { hasText: "eth0" }).first().dispatchEvent("click");
  await page.getByTestId("capture-here").click();
  const lines = page.getByTestId("capture-lines").locator(".capture-line");
  await lines.first().waitFor(patience);
  const all = await lines.allInnerTexts();
  assert.ok(all.some((line) => /^\d\d:\d\d:\d\d\.\d{6} ARP, Request who-has 192\.168\.1\.11 tell 192\.168\.1\.10, length 28$/.test(line)), all.join("\n"));
  const filter = page.getByTestId("capture-filter");
  await filter.fill("udp port 8472 and");
  assert.match(await page.getByTestId("capture-error").innerText(), /18번째 칸/);
  assert.equal(await filter.getAttribute("aria-invalid"), "true");
  assert.equal(await lines.count(), all.length, "the last capture stays");
  await filter.fill("udp port 8472");
  await page.getByTestId("capture-error").waitFor({ ...patience, state: "detached" });
  await lines.filter({ hasText: /OTV|VXLAN/ }).first().waitFor(patience);
  const some = await lines.count();
  assert.ok(some < all.length);
  const at = await page.getByTestId("count").innerText();
  await lines.last().click();
  assert.notEqual(await page.getByTestId("count").innerText(), at, "a line leads to its event");
  const [download] = await Promise.all([page.waitForEvent("download", patience), page.getByTestId("capture-export").click()]);
  assert.match(download.suggestedFilename(), /^node1-eth0\.pcapng$/);
  assert.equal((await readFile(await download.path())).subarray(0, 4).toString("hex"), "0a0d0d0a");
}));

test("the life of a Pod stands on its lanes, step by step, and its end as well", lesson(async ({ page }) => {
  const text = await lessonText("ko");
  // Its images are pulled one after the other; it is deleted once it is up.
  await openView(page, "lives");
  await page.getByTestId("lives-pod").selectOption("default/c");
  await page.waitForFunction(() => {
    document.querySelector("[data-testid=to-end]").click();
    return document.querySelectorAll(".lives-picture .lives-step").length === 8;
  }, undefined, { ...patience, polling: 300 });
  await page.getByTestId("view-close").click();
  await type(page, text.replace(/---\napiVersion: v1\nkind: Pod\nmetadata: \{name: c\}[\s\S]*?(?=---\napiVersion: v1\nkind: Pod\nmetadata: \{name: b\})/, ""));
  await openView(page, "lives");
  await page.getByTestId("lives-pod").selectOption("default/c");
  const marks = page.locator(".lives-picture .lives-step");
  await page.waitForFunction(() => {
    document.querySelector("[data-testid=to-end]").click();
    return document.querySelectorAll(".lives-picture .lives-step.is-down").length === 8;
  }, undefined, { ...patience, polling: 300 });
  assert.equal(await marks.count(), 16);
  // They are wider than the stage: the playhead's mark is in sight, and whose lane it is as well.
  const lastSeen = (at) => page.waitForFunction((at) => {
    const lanes = document.querySelector("[data-testid=lives-lanes]");
    const [room, names, mark] = [lanes, lanes.querySelector(".lives-names"), lanes.querySelectorAll(".lives-step")[at]].map((one) => one.getBoundingClientRect());
    return lanes.scrollWidth > lanes.clientWidth && Math.abs(names.left - room.left) < 1 && mark.left >= names.right && mark.right <= room.right;
  }, at, patience);
  await lastSeen(15);
  const lists = page.locator(".lives-lists ol");
  assert.equal(await lists.nth(0).locator("li").count(), 8);
  assert.equal(await lists.nth(1).locator("li").count(), 8);
  await lists.nth(0).locator("li button").nth(3).click();
  assert.equal(await page.locator(".lives-lists li.is-now").count(), 1);
  await lastSeen(3);
  assert.ok((await page.locator(".lives-mark.is-future").count()) > 8, "what is still to come is faint");
  await page.getByTestId("view-close").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "view-menu");
}));

test("networks are compared side by side on the same packet", lesson(async ({ page }) => {
  await openView(page, "compare");
  await page.getByTestId("compare-line").fill("ping -c 1 10.244.2.10");
  await page.getByTestId("compare-run").click();
  await page.waitForFunction(() => document.querySelectorAll(".compare-table tbody").length === 8, undefined, { timeout: 60_000 });
  const row = (name) => page.locator(".compare-table tbody", { has: page.locator("th", { hasText: new RegExp(`^${name}$`) }) });
  assert.match(await row("flannel/vxlan").innerText(), /148 B[\s\S]*\+50 B\s*1450/);
  assert.match(await row("flannel/host-gw").innerText(), /98 B[\s\S]*\+0 B\s*1500/);
  await page.getByTestId("compare-line").fill("ping 'x");
  await page.getByTestId("compare-run").click();
  assert.match(await page.getByTestId("compare-state").innerText(), /따옴표/);
}));

test("Pods of one controller can be told apart, and a text without a Cluster document gets a plug-in that enforces", lesson(async ({ page }) => {
  const app = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: storefront}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: storefront}}\n  template:\n    metadata: {labels: {app: storefront}}\n    spec: {containers: [{name: web, image: nginx}]}\n";
  const policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n";
  await type(page, app + policy);
  await page.waitForFunction(() => {
    document.querySelector("[data-testid=to-end]").click();
    return document.querySelectorAll(".shape-pod[id^=on-stage-pod-default-storefront-]").length === 3;
  }, undefined, { ...patience, polling: 300 });
  await pause(page);
  const names = await page.locator("[id^=on-stage-pod-default-storefront-] text.label-name").allTextContents();
  assert.equal(new Set(names).size, 3, names.join(" "));
  await tab(page, "ladder");
  await page.locator(".ladder-head text").first().waitFor({ ...patience, state: "attached" });
  const overlap = await page.locator(".ladder-head text").evaluateAll((heads) => {
    const boxes = heads.map((head) => head.getBoundingClientRect()).sort((a, b) => a.left - b.left);
    return boxes.some((box, at) => at > 0 && box.left < boxes[at - 1].right);
  });
  assert.ok(!overlap, "the ladder's heads stand beside each other");
  await openView(page, "policies");
  await page.getByTestId("policies-calico").click();
  await page.getByTestId("policies-vain").waitFor({ ...patience, state: "detached" });
  await page.locator(".policies-cell.is-lost").nth(5).waitFor(patience);
}));

test("on a phone the timeline's controls stay where they are, and networks compared are cards", lesson(async ({ page }) => {
  await pause(page);
  const places = () => page.locator(".time-controls :is(button, select)").evaluateAll((all) => all.map((one) => {
    const { left, right, top } = one.getBoundingClientRect();
    return [Math.round(left), Math.round(right), Math.round(top + scrollY)].join(" ");
  }));
  await goTo(page, 9);
  const few = await places();
  await goTo(page, 101);
  assert.deepEqual(await places(), few);
  await openView(page, "compare");
  await page.getByTestId("compare-line").fill("ping -c 1 10.244.2.10");
  await page.getByTestId("compare-run").click();
  await page.waitForFunction(() => document.querySelectorAll(".compare-table tbody").length === 8, undefined, { timeout: 60_000 });
  const table = page.getByTestId("compare-table");
  assert.ok(await table.evaluate((table) => table.scrollWidth <= table.parentElement.clientWidth && table.getBoundingClientRect().right <= innerWidth), "nothing runs out of the phone");
  const cell = table.locator("td[data-label]").nth(1);
  assert.equal(await cell.evaluate((cell) => getComputedStyle(cell, "::before").content), '"선로 위의 바이트"');
}, { options: { viewport: { width: 390, height: 844 }, reducedMotion: "reduce" } }));

test("the views speak English too and need no mouse", async () => {
  const { page, context, complaints } = await open(world, { options: { locale: "en-US", reducedMotion: "reduce" } });
  await ready(page);
  await pause(page);
  for (const [view, title] of [["lives", "The life of a Pod"], ["services", "Services"], ["compare", "Compare networks"]]) {
    await page.locator("#view-menu").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId(`open-${view}`).focus();
    await page.keyboard.press("Enter");
    const section = page.getByTestId(`view-${view}`);
    await section.waitFor(patience);
    assert.equal(await section.getAttribute("aria-label"), title);
    assert.doesNotMatch(await section.innerText(), /[가-힣]/);
    await page.waitForFunction(() => document.activeElement.id === "view", undefined, patience);
    await page.keyboard.press("Escape");
    await section.waitFor({ ...patience, state: "detached" });
  }
  for (const name of ["tcp", "capture", "list", "ladder", "score"]) {
    await tab(page, name);
    assert.doesNotMatch(await page.getByTestId("timeline").innerText(), /[가-힣]/, name);
  }
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a cable cut on the stage stops the ping and is drawn; mended, the ping goes through again", lesson(async ({ page }) => {
  await page.getByTestId("to-end").click();
  await pause(page);
  await page.locator(".stage-picture .shape-device", { hasText: /node2\/eth0/ }).first().dispatchEvent("click");
  await page.getByTestId("break-cable").click();
  await page.locator(".faults-drawn .fault-cross").first().waitFor({ ...patience, state: "attached" });
  await page.getByTestId("mend").waitFor(patience);
  await command(page, "ping -c 1 -W 1 10.244.2.10", /1 packets transmitted, 0 (packets )?received/);
  await page.locator(".stage-picture .shape-device", { hasText: /node2\/eth0/ }).first().dispatchEvent("click");
  await page.getByTestId("mend").click();
  await page.locator(".faults-drawn .fault-cross").first().waitFor({ ...patience, state: "detached" });
  await command(page, "ping -c 1 10.244.2.10", /1 packets transmitted, 1 (packets )?received/);
  await page.getByTestId("undo").click();
  await page.getByTestId("undo").click();
  await page.waitForFunction(() => { document.querySelector("[data-testid=to-end]").click(); return document.querySelectorAll(".faults-drawn .fault-cross").length > 0; }, undefined, { ...patience, polling: 300 });
}));

test("loss, MTU and a dead node are brought about by hand, and what cannot be is said", lesson(async ({ page }) => {
  await page.getByTestId("to-end").click();
  await pause(page);
  const eth0 = page.locator(".stage-picture .shape-device", { hasText: /node1\/eth0/ }).first();
  await eth0.dispatchEvent("click");
  await page.getByTestId("fault-loss").fill("100");
  await page.getByTestId("break-impair").click();
  await page.locator(".faults-drawn .fault-word", { hasText: "loss 100%" }).first().waitFor({ ...patience, state: "attached" });
  assert.equal(await page.getByTestId("mend").count(), 1, "the other end is another interface");
  await page.getByTestId("duplicate-address").fill("nonsense");
  await page.getByTestId("break-address").click();
  assert.match(await page.getByTestId("notice").innerText(), /nonsense/);
  await page.getByTestId("tables-whole").click();
  await page.getByTestId("break-node").click();
  await page.locator(".faults-drawn .fault-dead").waitFor({ ...patience, state: "attached" });
}));

test("the matrix says who reaches whom; a cell says why, and a policy written for it changes it", lesson(async ({ page }) => {
  const text = (await lessonText("ko")).replace("cni: flannel", "cni: calico").replace(/ +backend: vxlan\n/, "")
    .replace(/ +ipam: .*\n/, "").replace(/metadata: \{name: (\w)\}/g, "metadata: {name: $1, labels: {app: $1}}");
  await type(page, text);
  await openView(page, "policies");
  const cell = (from, to) => page.getByTestId(`cell-${from}-${to}`);
  await cell("a", "b").waitFor({ timeout: 60_000 });
  assert.equal(await page.locator(".policies-cell.is-lost").count(), 0);
  await cell("a", "b").click();
  assert.match(await page.getByTestId("policies-why").innerText(), /\S/);
  await page.getByTestId("policies-isolate").click();
  await page.locator(".policies-cell.is-lost").first().waitFor({ timeout: 60_000 });
  assert.equal(await page.locator(".policies-cell.is-lost").count(), 1);
  assert.match(await cell("a", "b").getAttribute("class"), /is-lost.*is-changed/);
  assert.match(await cell("a", "b").getAttribute("aria-label"), /고치기 전에는 닿았습니다/);
  await cell("a", "b").click();
  assert.match(await page.getByTestId("policies-why").innerText(), /isolate/);
  await page.getByTestId("policies-admit").click();
  await page.waitForFunction(() => document.querySelector("[data-testid=cell-a-b]")?.classList.contains("is-allowed"), undefined, { timeout: 60_000 });
}));

test("the course is done step by step, and the lab itself tells when", lesson(async ({ page }) => {
  await page.getByTestId("tab-lesson").click();
  const progress = page.getByTestId("lesson-progress");
  // The first ping goes to another node, which is a step of the second chapter.
  const shared = page.getByTestId("step-pod-shared");
  await page.getByTestId("help-pod-shared").click();
  await page.waitForFunction(() => document.querySelector("[data-testid=step-pod-shared]").classList.contains("is-done"), undefined, patience);
  assert.match(await shared.innerText(), /Pod의 것입니다/);
  await page.getByTestId("help-pod-localhost").click();
  await page.waitForFunction(() => document.querySelector("[data-testid=step-pod-localhost]").classList.contains("is-done"), undefined, patience);
  await page.getByTestId("chapter-path").waitFor(patience);
  assert.ok(await page.getByTestId("chapter-path").evaluate((chapter) => chapter.open), "the next chapter opens");
  assert.match(await progress.innerText(), /13단계 중|14단계 중/);
}));

test("the second exercise says what is missing, and its solution misses nothing", lesson(async ({ page }) => {
  await page.getByTestId("tab-lesson").click();
  await page.getByTestId("exercise").locator("summary").click();
  await page.getByTestId("exercise-open").click();
  const tried = (count) => page.waitForFunction((count) => document.querySelectorAll("[data-testid=exercise-goals] .is-done").length === count && document.querySelector("[data-testid=exercise-state]").innerText === "", count, { timeout: 120_000 });
  await page.waitForFunction(() => /backend-api/.test(document.querySelector("[data-testid=goal-names] ul").innerText), undefined, { timeout: 120_000 });
  await tried(0);
  await page.getByTestId("exercise-solve").click();
  await tried(5);
}));
