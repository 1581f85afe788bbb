// The pages of the documents, bundled and served on an origin of their own.
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { docs } from "./docs.mjs";

/** A page with what is installed in a folder, as one script. */
async function bundle(page, folder) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(page, import.meta.url))],
    bundle: true, write: false, format: "esm", jsx: "automatic", logLevel: "silent",
    define: { "process.env.NODE_ENV": '"production"' },
    nodePaths: [join(folder, "node_modules")],
    plugins: [docs],
  });
  return outputFiles[0].text;
}

/**
 * Serves, for a folder `…/ai-6`, the page of a chat as `/ai-6/ID`, with its settings in the query, and its script as `/ai-6.js`. `/` is
 * a page without any. `pages`: the page of each folder; `services`: the settings unless the query has others.
 */
export async function serve(pages, services) {
  const scripts = new Map(await Promise.all(pages.map(async ([page, folder]) => [basename(folder), await bundle(page, folder)])));
  const answer = (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    const [, name, ID] = pathname.split("/");
    response.setHeader("content-type", "text/html; charset=utf-8");
    if (name === "") return response.end('<!doctype html><link rel="icon" href="data:,">');
    const script = scripts.get(name.replace(/\.js$/, ""));
    if (!script) return response.writeHead(404).end();
    if (name.endsWith(".js")) return response.setHeader("content-type", "text/javascript").end(script);
    const settings = JSON.stringify({ ...services, ...Object.fromEntries(searchParams), ID });
    response.end(`<!doctype html><link rel="icon" href="data:,"><body>
      <script type="application/json" id="settings">${settings}</script><script type="module" src="/${name}.js"></script>`);
  };
  return (port) => createServer(answer).listen(port, "127.0.0.1");
}
