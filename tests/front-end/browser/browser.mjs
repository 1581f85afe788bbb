// The page of docs/chat.md in a real browser, on an origin of its own: preflights, streams, reloads. Prints a line of JSON for
// each scenario: {"scenario", "ok", "error"?}.
//
// FRONT_ENDS: the folders of the versions of the AI SDK, as JSON; API_URL, AGENT_URL, TOKENS (one for each version, as JSON);
// BROWSER: the browser's program; PAGE_ORIGIN: the origin that the functions let in.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { API_URL, AGENT_URL, BROWSER, PAGE_ORIGIN } = process.env;
const [folders, tokens] = [process.env.FRONT_ENDS, process.env.TOKENS].map((text) => JSON.parse(text));
const api = `${API_URL}/v1/chat`;
const QUESTION = "How long does a token live?";

/** The page with a version of the AI SDK, as one script. */
async function bundle(folder) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("page.jsx", import.meta.url))],
    bundle: true, write: false, format: "esm", jsx: "automatic", logLevel: "silent",
    define: { "process.env.NODE_ENV": '"production"' },
    nodePaths: [join(folder, "node_modules")],
  });
  return outputFiles[0].text;
}

const pages = new Map(await Promise.all(folders.map(async (folder, n) =>
  [basename(folder), { script: await bundle(folder), token: tokens[n] }])));

// `/ai-6/ID` is the page of a chat, `/ai-6.js` its script.
const server = createServer((request, response) => {
  const [, name, id] = request.url.split("/");
  const page = pages.get(name.replace(/\.js$/, ""));
  if (!page) return response.writeHead(404).end();
  if (name.endsWith(".js")) return response.setHeader("content-type", "text/javascript").end(page.script);
  const settings = JSON.stringify({ api, token: page.token, id });
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(`<!doctype html><link rel="icon" href="data:,"><body>
    <script type="application/json" id="settings">${settings}</script><script type="module" src="/${name}.js"></script>`);
}).listen(new URL(PAGE_ORIGIN).port, "127.0.0.1");

const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic"],
});

/** A chat on a page, and what a test does with it. */
class Tab {
  static async open(context, version, id, origin = PAGE_ORIGIN) {
    const page = await context.newPage();
    const tab = Object.assign(new Tab(), { page, errors: [] });
    // Looks on: the page's own reader gets the same bytes.
    await page.addInitScript(() => {
      const { fetch } = window;
      window.fetch = async (url, ...more) => {
        const response = await fetch(url, ...more);
        if (url.endsWith("/stream")) response.clone().text().then(() => setTimeout(() => { window.resumed = true; }));
        return response;
      };
    });
    page.on("pageerror", (error) => tab.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && tab.errors.push(message.text()));
    await page.goto(`${origin}/${version}/${id}`);
    await tab.is("ready|submitted|streaming|error");
    return tab;
  }

  ask(text) {
    return this.page.locator("textarea").fill(text).then(() => this.press("send"));
  }
  press(name) {
    return this.page.locator(`button[name=${name}]`).click();
  }
  is(status) {
    return this.page.waitForFunction((status) =>
      new RegExp(`^(${status})$`).test(document.querySelector("main")?.dataset.status), status);
  }
  /** Waits until the last answer has this many words, and answers them. */
  async words(count) {
    await this.page.waitForFunction((count) =>
      [...document.querySelectorAll("li.assistant")].at(-1)?.textContent.split(/\s+/).filter(Boolean).length >= count, count);
    return (await this.answer()).text.split(/\s+/).filter(Boolean);
  }
  async messages() {
    return this.page.locator("li").evaluateAll((items) => items.map((item) => ({
      id: item.id, role: item.className, status: item.dataset.status,
      text: [...item.querySelectorAll("p")].map((p) => p.textContent).join(""),
      sources: [...item.querySelectorAll("a")].map((a) => a.href),
    })));
  }
  async answer() {
    return (await this.messages()).filter(({ role }) => role === "assistant").at(-1);
  }
  /** What it shows after a reload is what it showed before. */
  async survivesReload() {
    const shown = await this.messages();
    await this.page.reload();
    // A page is ready before it resumes, too: what it shows then is what it loaded.
    await this.page.waitForFunction(() => window.resumed);
    await this.is("ready");
    await this.page.waitForFunction((count) => document.querySelectorAll("li").length === count, shown.length);
    const answers = (messages) => messages.map(({ role, status, ...rest }) => (role === "user" ? rest : { ...rest, status }));
    assert.deepEqual(answers(await this.messages()), answers(shown));
  }
  noErrors() {
    // A chat that has no question yet has no history: the browser tells of that 404 by itself.
    assert.deepEqual(this.errors.filter((error) => !error.includes("404")), []);
  }
}

const release = async (name) =>
  assert.equal((await fetch(new URL(`/release/${name}`, AGENT_URL), { method: "POST" })).status, 204);
const asked = async (text) => (await (await fetch(new URL(`/requests/${text}`, AGENT_URL))).json()).length;
const unique = () => crypto.randomUUID().slice(0, 13);

const scenarios = {
  async "a reload in the middle of an answer"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: hold@5=${mark}`);
    const before = await tab.words(5);
    assert.equal(before.length, 5, "what the agent has said so far, and no more");
    await tab.is("streaming");
    await tab.page.reload();
    assert.deepEqual(await tab.words(5), before);
    assert.deepEqual((await tab.messages()).map(({ role }) => role), ["user", "assistant"]);
    await release(mark);
    await tab.is("ready");
    const answer = await tab.answer();
    assert.equal(answer.status, "complete");
    assert.ok(answer.text.startsWith(before.slice(0, 4).join(" ")) && answer.sources.length > 0, JSON.stringify(answer));
    await tab.survivesReload();
    assert.equal(await asked(mark), 1);
    tab.noErrors();
  },

  async "two pages and a stop"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: bytes=4000 hold@5=${mark}`);
    await tab.words(5);
    const other = await open(mark);
    assert.deepEqual(await other.words(5), await tab.words(5));
    await other.press("stop");
    await Promise.all([tab.is("ready"), other.is("ready")]);
    await release(mark);
    await tab.survivesReload();
    assert.equal((await tab.answer()).status, "stopped");
    await other.press("regenerate");
    await other.page.waitForFunction(() => document.querySelector("li.assistant")?.dataset.status === "complete");
    await other.survivesReload();
    tab.noErrors();
    other.noErrors();
  },

  async "a page that is closed and opened again"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: hold@5=${mark}`);
    await tab.words(5);
    await tab.page.close();
    await release(mark);
    const again = await open(mark);
    await again.page.waitForFunction(() => document.querySelector("li.assistant")?.dataset.status === "complete");
    await again.survivesReload();
    assert.equal(await asked(mark), 1);
    again.noErrors();
  },

  async "a page of another origin"(open) {
    const mark = unique();
    const tab = await open(mark, PAGE_ORIGIN.replace("127.0.0.1", "localhost"));
    await tab.ask(`${QUESTION} ${mark}`);
    await tab.is("error");
    assert.ok(tab.errors.some((error) => error.includes("CORS")), tab.errors.join("\n"));
    assert.equal(await asked(mark), 0);
  },
};

for (const version of pages.keys()) {
  for (const [name, play] of Object.entries(scenarios)) {
    const context = await browser.newContext();
    context.setDefaultTimeout(60_000);
    const result = { scenario: `${version}: ${name}`, ok: true };
    try {
      await play((id, origin) => Tab.open(context, version, id, origin));
    } catch (error) {
      Object.assign(result, { ok: false, error: error.stack });
    }
    console.log(JSON.stringify(result));
    await context.close();
  }
}
await browser.close();
server.close();
