// Trunk's last step: moves its inline start script to a file, which the Content-Security-Policy asks for, and tells the
// service worker which files there are. Works on the folder in TRUNK_STAGING_DIR.
import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

const dist = process.env.TRUNK_STAGING_DIR;
if (!dist) throw new Error("TRUNK_STAGING_DIR is not set: this runs as a hook of trunk build");
const digest = (content) => createHash("sha256").update(content).digest("hex").slice(0, 16);

const page = join(dist, "index.html");
let html = await readFile(page, "utf8");
const inline = /<script\b(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g;
for (const [tag, script] of [...html.matchAll(inline)]) {
  const name = `start-${digest(script)}.js`;
  await writeFile(join(dist, name), `${script.trim()}\n`);
  html = html.replace(tag, () => `<script type="module" src="./${name}"></script>`);
}
if (html.search(inline) >= 0 || /<style\b|\sstyle=|\son[a-z]+=/i.test(html)) {
  throw new Error("index.html holds an inline script or style, which its Content-Security-Policy forbids");
}
await writeFile(page, html);

const names = (await readdir(dist, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => relative(dist, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join("/"))
  .filter((name) => name !== "sw.js" && !name.endsWith(".txt"))
  .sort();
const everything = createHash("sha256");
for (const name of names) everything.update(name).update(await readFile(join(dist, name)));
// Of the font pieces only the two that every page needs; the others are kept when they are first read.
const kept = names.filter((name) => !name.endsWith(".woff2") || html.includes(name));
const files = ["./", ...kept.filter((name) => name !== "index.html").map((name) => `./${name}`)];
const worker = join(dist, "sw.js");
const source = await readFile(worker, "utf8");
const filled = source
  .replace('const VERSION = "dev";', `const VERSION = "${everything.digest("hex").slice(0, 16)}";`)
  .replace("const FILES = [];", `const FILES = ${JSON.stringify(files)};`);
if (filled === source) throw new Error("sw.js has lost the two lines that the build fills in");
await writeFile(worker, filled);
