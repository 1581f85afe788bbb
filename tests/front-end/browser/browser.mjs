// The pages of the documents in a real browser, on an origin of their own: preflights, streams, reloads. Prints a line of JSON for
// each scenario: {"scenario", "ok", "error"?}.
//
// FRONT_ENDS: the folders of the versions of the AI SDK, as JSON; API_URL, AUTH_URL, AGENT_URL; BROWSER: the browser's program;
// PAGE_ORIGIN: the origin that the functions let in.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { asked, release, unique } from "./agent.mjs";
import { Thread, scenarios as threads } from "./assistant-ui.mjs";
import { serve } from "./pages.mjs";
import { SERVICES, Tab, link } from "./tab.mjs";

const { AUTH_URL, BROWSER, PAGE_ORIGIN } = process.env;
const folders = JSON.parse(process.env.FRONT_ENDS);
const QUESTION = "How long does a token live?";

const ASSISTANT_UI = fileURLToPath(new URL("../assistant-ui", import.meta.url));
const pages = [...folders.map((folder) => ["page.jsx", folder]), ["assistant-page.jsx", ASSISTANT_UI]];
const listen = await serve(pages, SERVICES);
const [server, foreign] = [new URL(PAGE_ORIGIN).port, 0].map(listen);
const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic"],
});

const allowing = (origin) => ({ "access-control-allow-origin": origin, "access-control-allow-credentials": "true" });

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

  async "versions of an answer and of a question"(open) {
    const [id, mark, other] = [unique(), unique(), unique()];
    const tab = await open(id);
    const shown = async () => (await tab.messages()).map(({ id, text }) => ({ id, text }));
    const show = async (name, who, places, expected) => {
      await tab.press(name, `li.${who}`);
      await tab.places(places);
      assert.deepEqual(await shown(), expected);
      await tab.survivesReload();
    };
    await tab.ask(`${QUESTION} ${mark}`);
    await tab.ends("complete");
    const first = await shown();
    await tab.press("again");
    await tab.places(["2/2"]);
    await tab.ends("complete");
    const again = await shown();
    assert.notEqual(again[1].id, first[1].id);
    await show("earlier", "assistant", ["1/2"], first);
    await tab.press("edit");
    await tab.ask(`What is a lease? ${other}`);
    await tab.places(["2/2"]);
    await tab.ends("complete");
    const edited = await shown();
    await tab.survivesReload();
    // What a reader of a question sees below it is its newest answer.
    await show("earlier", "user", ["1/2", "2/2"], again);
    await show("later", "user", ["2/2"], edited);
    assert.deepEqual([await asked(mark), await asked(other)], [2, 1]);
    tab.noErrors();
  },

  async "a tab that hasn't seen the last turn"(open) {
    const [id, mark] = [unique(), unique()];
    const tab = await open(id);
    await tab.ask(QUESTION);
    await tab.ends("complete");
    const other = await open(id);
    await other.ask(`What is a lease? ${mark}`);
    await other.count(4);
    await other.ends("complete");
    await tab.ask(`What is a quota? ${mark}`);
    await tab.count(4);
    await tab.ends("complete");
    const shown = (await tab.messages()).map(({ text }) => text);
    await tab.survivesReload();
    await tab.places(["2/2"]);
    await other.page.reload();
    await other.shows(shown);
    assert.equal(await asked(mark), 2);
    tab.noErrors();
  },

  async "a tool of the page's"(open) {
    const mark = unique();
    const tab = await open(mark);
    await tab.ask(`${QUESTION} ${mark}\nagent: call=timeZone`);
    await tab.page.waitForSelector("button[name=run]");
    await tab.survivesReload();
    await tab.press("run");
    await tab.words(10);
    await tab.is("ready");
    assert.equal(await tab.page.locator("button[name=run]").count(), 0);
    assert.equal(await tab.page.locator("fieldset").getAttribute("data-state"), "output-available");
    await tab.survivesReload();
    assert.equal(await asked(mark), 2);
    tab.noErrors();
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

const plays = folders.flatMap((folder) => Object.entries(scenarios).map((scenario) => [basename(folder), Tab, ...scenario]))
  .concat(Object.entries(threads).map((scenario) => ["assistant-ui", Thread, ...scenario]));
for (const [front, Page, name, play] of plays) {
  if (![undefined, name].includes(process.env.SCENARIO)) continue;
  link.up();
  const context = await browser.newContext();
  context.setDefaultTimeout(60_000);
  const result = { scenario: `${front}: ${name}`, ok: true };
  try {
    await play((id, at) => Page.open(context, front, id, at), context);
  } catch (error) {
    Object.assign(result, { ok: false, error: error.stack });
  }
  console.log(JSON.stringify(result));
  await context.close();
}
await browser.close();
for (const listening of [server, foreign, link.server]) listening.close();
