// A small server of static files, as plain as the hosts the page is made for: no COOP or COEP headers, no rewriting.
//
//   node .ci/serve.mjs FOLDER [PORT]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const types = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
};

/** Serves `folder` below the path `base` of the loopback address; resolves to the server once it listens. */
export function serve(folder, { port = 0, base = "/" } = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const name = path.startsWith(base) ? normalize(path.slice(base.length)) : null;
    if (name === null || name.startsWith("..")) return response.writeHead(404).end("not found");
    const file = join(folder, name === "." || name.endsWith("/") ? join(name, "index.html") : name);
    try {
      const content = await readFile(file);
      response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" });
      response.end(content);
    } catch {
      response.writeHead(404).end("not found");
    }
  });
  return new Promise((done, refuse) => {
    server.once("error", refuse);
    server.listen(port, "localhost", () => done(server));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = "dist", port = "8080"] = process.argv.slice(2);
  try {
    await serve(resolve(folder), { port: Number(port) });
    console.log(`vethscope is on http://localhost:${port} (Ctrl-C ends it)`);
  } catch (error) {
    console.error(error.code === "EADDRINUSE" ? `port ${port} is taken: run 'make serve PORT=8081'` : String(error));
    process.exit(1);
  }
}
