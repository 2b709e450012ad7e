// Builds the script bundles, the page's style sheet and the fonts into target/bundled/bundle, where Trunk takes them from.
//
//   node src/ui/bundle/build.mjs        (packages first: npm ci in this folder)
import { build } from "esbuild";
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
// Not target/page: there cargo keeps the build scripts and macros of the profile of that name.
const out = join(root, "target/bundled");
const made = join(root, `target/bundled.${process.pid}`);
const browsers = ["chrome120", "firefox120", "safari17"];
const common = { bundle: true, minify: true, target: browsers, legalComments: "eof", logLevel: "warning", absWorkingDir: root };

await rm(made, { recursive: true, force: true });
await mkdir(join(made, "bundle/fonts"), { recursive: true });

await build({
  ...common,
  entryPoints: [join(here, "editor.js"), join(here, "terminal.js")],
  format: "esm",
  outdir: join(made, "bundle"),
});
await build({
  ...common,
  entryPoints: [join(root, "style/main.css")],
  outfile: join(made, "style.css"),
});
await fonts();

// Into place at once, so that a reader never finds half of it.
await rm(out, { recursive: true, force: true });
await rename(made, out);

/** Copies the faces and joins their sheets into one. */
async function fonts() {
  const folder = join(made, "bundle/fonts");
  const pretendard = join(here, "node_modules/pretendard/dist");
  const mono = join(here, "node_modules/@fontsource-variable/jetbrains-mono");

  const subsets = join(pretendard, "web/variable/woff2-dynamic-subset");
  for (const name of await readdir(subsets)) await cp(join(subsets, name), join(folder, name));
  await cp(join(pretendard, "LICENSE.txt"), join(folder, "Pretendard-LICENSE.txt"));
  const sans = await readFile(join(pretendard, "web/variable/pretendardvariable-dynamic-subset.css"), "utf8");

  const latin = "jetbrains-mono-latin-wght-normal.woff2";
  await cp(join(mono, "files", latin), join(folder, latin));
  await cp(join(mono, "LICENSE"), join(folder, "JetBrainsMono-LICENSE.txt"));
  const sheet = await readFile(join(mono, "index.css"), "utf8");
  const face = sheet.split("@font-face").find((part) => part.includes(latin));
  if (!face) throw new Error("the JetBrains Mono package no longer has its Latin face under the known name");

  const joined = `${sans.replaceAll("./woff2-dynamic-subset/", "./")}\n@font-face${face.replace("./files/", "./")}`;
  const source = join(folder, "fonts.src.css");
  await writeFile(source, joined);
  await build({ ...common, bundle: false, entryPoints: [source], outfile: join(folder, "fonts.css"), allowOverwrite: true });
  await rm(source);
}
