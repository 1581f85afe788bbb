// The page of docs/chat.md in a real browser, on an origin of its own: preflights, streams, reloads. Prints a line of JSON for
// each scenario: {"scenario", "ok", "error"?}.
//
// FRONT_ENDS: the folders of the versions of the AI SDK, as JSON; API_URL, AUTH_URL, AGENT_URL; BROWSER: the browser's program;
// PAGE_ORIGIN: the origin that the functions let in.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { docs } from "./docs.mjs";
import { Link } from "./link.mjs";

const { API_URL, AUTH_URL, AGENT_URL, BROWSER, PAGE_ORIGIN } = process.env;
const folders = JSON.parse(process.env.FRONT_ENDS);
const link = await Link.to(API_URL);
const SERVICES = { API: link.url, AUTH: AUTH_URL };
const QUESTION = "How long does a token live?";

/** The page with a version of the AI SDK, as one script. */
async function bundle(folder) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("page.jsx", import.meta.url))],
    bundle: true, write: false, format: "esm", jsx: "automatic", logLevel: "silent",
    define: { "process.env.NODE_ENV": '"production"' },
    nodePaths: [join(folder, "node_modules")],
    plugins: [docs],
  });
  return outputFiles[0].text;
}

const scripts = new Map(await Promise.all(folders.map(async (folder) => [basename(folder), await bundle(folder)])));

// `/ai-6/ID` is the page of a chat, with the settings in its query, and `/ai-6.js` its script. `/` is a page without any.
const answer = (request, response) => {
  const { pathname, searchParams } = new URL(request.url, PAGE_ORIGIN);
  const [, name, ID] = pathname.split("/");
  response.setHeader("content-type", "text/html; charset=utf-8");
  if (name === "") return response.end(`<!doctype html><link rel="icon" href="data:,">`);
  const script = scripts.get(name.replace(/\.js$/, ""));
  if (!script) return response.writeHead(404).end();
  if (name.endsWith(".js")) return response.setHeader("content-type", "text/javascript").end(script);
  const settings = JSON.stringify({ ...SERVICES, ...Object.fromEntries(searchParams), ID });
  response.end(`<!doctype html><link rel="icon" href="data:,"><body>
    <script type="application/json" id="settings">${settings}</script><script type="module" src="/${name}.js"></script>`);
};
const server = createServer(answer).listen(new URL(PAGE_ORIGIN).port, "127.0.0.1");
const foreign = createServer(answer).listen(0, "127.0.0.1");

const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic"],
});

/** A chat on a page, and what a test does with it. */
class Tab {
  /** Opens the page of somebody who has signed in: by whatever names the page and the services have. */
  static async open(context, version, id, { origin = PAGE_ORIGIN, services = SERVICES } = {}) {
    const page = await context.newPage();
    const tab = Object.assign(new Tab(), { page, errors: [] });
    await page.goto(origin);
    if ((await context.cookies(services.AUTH)).length === 0) await tab.signUp(services.AUTH);
    page.on("pageerror", (error) => tab.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && tab.errors.push(message.text()));
    await page.goto(`${origin}/${version}/${id}?${new URLSearchParams(services)}`);
    await tab.is("ready|submitted|streaming|error");
    return tab;
  }

  async signUp(auth) {
    const status = await this.page.evaluate(async (auth) => {
      const somebody = { name: "Ada", email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() };
      const headers = { "content-type": "application/json" };
      const init = { method: "POST", headers, credentials: "include", body: JSON.stringify(somebody) };
      return (await fetch(`${auth}/sign-up/email`, init)).status;
    }, auth);
    assert.equal(status, 200);
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
  /** Waits until the page tells what went wrong, and answers it: the words may be gone a moment later. */
  async told(text) {
    const said = await this.page.waitForFunction((text) => {
      const said = document.querySelector("[role=alert]")?.textContent;
      return said && new RegExp(text).test(said) && said;
    }, text);
    return said.jsonValue();
  }
  ends(status) {
    return this.page.waitForFunction((status) =>
      [...document.querySelectorAll("li.assistant")].at(-1)?.dataset.status === status, status);
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
    await this.is("ready");
    await this.page.waitForFunction((count) => document.querySelectorAll("li").length === count, shown.length);
    const answers = (messages) => messages.map(({ role, status, ...rest }) => (role === "user" ? rest : { ...rest, status }));
    assert.deepEqual(answers(await this.messages()), answers(shown));
  }
  /** Waits until the answer's end is stored: asks the API beside the page. */
  async isStored(id) {
    const { token } = await (await this.page.context().request.get(`${AUTH_URL}/token`)).json();
    const headers = { authorization: `Bearer ${token}` };
    for (;;) {
      const { data } = await (await fetch(`${API_URL}/v1/chat/${id}`, { headers })).json();
      if (data.at(-1).metadata.status === "complete") return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  noErrors() {
    // A chat that has no question yet has no history: the browser tells of that 404 by itself.
    assert.deepEqual(this.errors.filter((error) => !error.includes("404")), []);
  }
}

const release = async (name) =>
  assert.equal((await fetch(new URL(`/release/${name}`, AGENT_URL), { method: "POST" })).status, 204);
const asked = async (text) => (await (await fetch(new URL(`/requests/${text}`, AGENT_URL))).json()).length;
const allowing = (origin) => ({ "access-control-allow-origin": origin, "access-control-allow-credentials": "true" });
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
    await other.press("again");
    await other.ends("complete");
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
    await again.ends("complete");
    await again.survivesReload();
    assert.equal(await asked(mark), 1);
    again.noErrors();
  },

  async "a connection that breaks in the middle"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: hold@5=${mark}`);
    const before = await tab.words(5);
    link.down();
    await tab.told("^The connection is interrupted");
    link.up();
    await tab.is("streaming");
    assert.deepEqual(await tab.words(5), before);
    await release(mark);
    await tab.ends("complete");
    assert.deepEqual((await tab.messages()).map(({ role }) => role), ["user", "assistant"]);
    await tab.survivesReload();
    assert.equal(await asked(mark), 1);
  },

  async "an answer that ended long before the connection was back"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: hold@5=${mark}`);
    await tab.words(5);
    // Nothing is replayed any more.
    await tab.page.route("**/stream", (route) => route.fulfill({ status: 204, headers: allowing(PAGE_ORIGIN) }));
    link.down();
    await tab.told("^The connection is interrupted");
    await release(mark);
    await tab.isStored(mark);
    link.up();
    await tab.ends("complete");
    await tab.page.unroute("**/stream");
    await tab.survivesReload();
    assert.equal(await asked(mark), 1);
  },

  async "a question that never arrived"(open) {
    const [mark, other] = [unique(), unique()];
    const tab = await open(mark);
    link.down();
    await tab.ask(`${QUESTION} ${mark}`);
    await tab.told("^The connection is interrupted");
    link.up();
    await tab.ends("complete");
    link.down();
    await tab.press("edit");
    await tab.ask(`${QUESTION} ${other}`);
    await tab.told("^The connection is interrupted");
    link.up();
    await tab.ends("complete");
    const [question, , ...more] = await tab.messages();
    assert.match(question.text, new RegExp(other));
    assert.equal(more.length, 0);
    await tab.survivesReload();
    assert.deepEqual([await asked(mark), await asked(other)], [1, 1]);
  },

  async "a token, for as long as it is good"(open) {
    const tab = await open(unique());
    const { page } = tab;
    let tokens = 0;
    page.on("request", (request) => { tokens += request.url().endsWith("/token") && request.method() === "GET"; });
    await page.clock.install();
    await page.reload();
    await tab.is("ready");
    const loads = () => page.evaluate(() => Promise.all([1, 2, 3].map(() => load(crypto.randomUUID()))));
    await loads();
    assert.equal(tokens, 1, "one for all that a page asks");
    await page.clock.fastForward("13:00");
    await loads();
    assert.equal(tokens, 1, "good for thirteen minutes");
    await page.clock.fastForward("01:00");
    await loads();
    assert.equal(tokens, 2, "replaced before its end, and once");
    // One that the API refuses.
    await page.route("**/token", async (route) => {
      const response = await route.fetch();
      const { token } = await response.json();
      await route.fulfill({ response, json: { token: token.slice(0, token.lastIndexOf(".")) + `.${"A".repeat(86)}` } });
    }, { times: 1 });
    await page.clock.fastForward("14:00");
    await loads();
    assert.equal(tokens, 4, "another one after a 401, for all that were refused");
    await page.route("**/token", (route) => route.fulfill({ status: 503, headers: allowing(PAGE_ORIGIN) }), { times: 1 });
    await page.clock.fastForward("14:00");
    await tab.ask(QUESTION);
    await tab.told("^Whether you are signed in");
    await page.context().clearCookies();
    await tab.press("again");
    await tab.told("^Sign in to go on");
    await tab.signUp(AUTH_URL);
    await tab.press("again");
    await tab.ends("complete");
  },

  async "the names of the machine"(open, context) {
    for (const page of ["127.0.0.1", "localhost"]) {
      for (const service of ["127.0.0.1", "localhost"]) {
        const named = (url, name) => url.replace("127.0.0.1", name);
        const services = Object.fromEntries(Object.entries(SERVICES).map(([key, url]) => [key, named(url, service)]));
        await context.clearCookies();
        const tab = await open(unique(), { origin: named(PAGE_ORIGIN, page), services });
        await tab.ask(QUESTION);
        await tab.ends("complete");
        await tab.survivesReload();
        tab.noErrors();
        await tab.page.close();
      }
    }
  },

  async "what went wrong, in words"(open) {
    const [id, mark] = [unique(), unique()];
    const tab = await open(id);
    await tab.ask(`${QUESTION}\nagent: error@4`);
    const said = await tab.told(".");
    assert.doesNotMatch(said, /[{}]|overloaded/);
    assert.equal((await tab.answer()).status, "failed");
    await tab.ask(`${QUESTION} ${mark}\nagent: hold@5=${mark}`);
    await tab.words(5);
    await tab.ask(QUESTION);
    const refused = await tab.told("answer");
    assert.ok(!refused.includes("{"), refused);
    await release(mark);
  },

  async "a page of another origin"(open) {
    const mark = unique();
    const tab = await open(mark, { origin: `http://127.0.0.1:${foreign.address().port}` });
    await tab.ask(`${QUESTION} ${mark}`);
    await tab.is("error");
    assert.ok(tab.errors.some((error) => error.includes("CORS")), tab.errors.join("\n"));
    assert.equal(await asked(mark), 0);
  },
};

const only = process.env.SCENARIO;
for (const version of scripts.keys()) {
  for (const [name, play] of Object.entries(scenarios)) {
    if (only && name !== only) continue;
    link.up();
    const context = await browser.newContext();
    context.setDefaultTimeout(60_000);
    const result = { scenario: `${version}: ${name}`, ok: true };
    try {
      await play((id, at) => Tab.open(context, version, id, at), context);
    } catch (error) {
      Object.assign(result, { ok: false, error: error.stack });
    }
    console.log(JSON.stringify(result));
    await context.close();
  }
}
await browser.close();
for (const listening of [server, foreign, link.server]) listening.close();
