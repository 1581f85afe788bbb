// The modules of docs/chat.md and docs/assistant-ui.md, for esbuild: what the documents show is what the browser runs. A block of code is a module where
// a file's name follows its language.
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const read = (name) => readFile(new URL(`../../../docs/${name}.md`, import.meta.url), "utf8");
const documents = (await Promise.all(["chat", "assistant-ui"].map(read))).join("\n");
const modules = new Map([...documents.matchAll(/^```\w+ (\S+\.jsx?)\n(.*?)^```$/gms)].map(([, name, code]) => [name, code]));
// The documents leave these to the application. Here the page brings them along.
modules.set("settings.js", 'export const { API, AUTH, ID } = JSON.parse(document.getElementById("settings").textContent);');

export const docs = {
  name: "docs",
  setup(build) {
    build.onResolve({ filter: /^\.\/[\w-]+\.jsx?$/ }, ({ path, resolveDir }) =>
      resolveDir === FOLDER && modules.has(path.slice(2)) ? { path: path.slice(2), namespace: "docs" } : undefined);
    build.onLoad({ filter: /.*/, namespace: "docs" }, ({ path }) =>
      ({ contents: modules.get(path), loader: "jsx", resolveDir: FOLDER }));
  },
};
