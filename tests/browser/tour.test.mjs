// The tour of a newcomer: a three-tier application is pasted and comes up, a policy breaks it, the page says why, and a
// policy written by the page mends it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeWorld, command, hasPod, lesson, openWorld, patience, pause, type } from "./steps.mjs";

before(openWorld);
after(closeWorld);

const tier = (name, node, image, port) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {tier: ${name}}}
spec: {nodeName: ${node}, containers: [{name: main, image: ${image}, ports: [{containerPort: ${port}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: {tier: ${name}}, ports: [{port: ${port}}]}
`;
const cluster = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec: {network: {cni: calico}}\n";
const application = [cluster, tier("web", "node1", "nginx", 80), tier("api", "node2", "nginx", 80), tier("data", "node1", "redis", 6379)].join("---\n");
const isolating = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {tier: api}}, policyTypes: [Ingress]}
`;
const fetching = "curl -sS -m 3 -o /dev/null -w %{http_code} http://api";
const long = { timeout: 60_000 };

async function open(page, view) {
  await page.getByTestId("view-menu").locator("summary").click();
  await page.getByTestId(`open-${view}`).click();
  await page.getByTestId(`view-${view}`).waitFor(patience);
}

test("a three-tier application comes up, is broken by a policy, understood and mended", lesson(async ({ page }) => {
  // Pasted, it comes up.
  await type(page, application);
  for (const name of ["web", "api", "data"]) await hasPod(page, name);
  await page.getByTestId("tab-terminal").click();
  await page.getByTestId("terminal-target").selectOption({ label: "Pod web" });
  await command(page, fetching, /http:\/\/api\s*200root@web/);
  await pause(page);

  // The policy is one more document in the same text.
  await page.getByTestId("tab-yaml").click();
  await type(page, application + isolating);
  await page.waitForFunction(() => document.querySelectorAll(".problem, .problems .error").length === 0, undefined, patience);
  await command(page, fetching, /Connection timed out after/);

  // Why: on the stage the place where it was lost, in the matrix the policy that decided.
  await page.getByTestId("to-start").click();
  // Packets that concern nobody are lost before it as well.
  const why = page.getByTestId("inspector");
  for (let times = 0; times < 60 && !/NETFILTER_DROP/.test(await why.innerText()); times += 1) await page.getByTestId("next-drop").click();
  assert.match(await why.innerText(), /SKB_DROP_REASON_NETFILTER_DROP[\s\S]*iptables-save/);
  await open(page, "policies");
  const cell = page.getByTestId("cell-web-api");
  await cell.waitFor(long);
  assert.match(await cell.getAttribute("class"), /is-lost/);
  assert.match(await page.getByTestId("cell-api-web").getAttribute("class"), /is-allowed/);
  await cell.click();
  assert.match(await page.getByTestId("policies-why").innerText(), /default\/nobody/);

  // Mended by the policy that the page writes, which the matrix asks anew by packets; the first one stays as it was.
  await page.getByTestId("policies-admit").click();
  await page.waitForFunction(() => document.querySelector("[data-testid=cell-web-api]")?.classList.contains("is-allowed"), undefined, long);
  assert.match(await page.getByTestId("cell-data-api").getAttribute("class"), /is-lost/);
}));
