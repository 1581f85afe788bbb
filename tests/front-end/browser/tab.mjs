// A page in the browser, and what a test does with it.
import assert from "node:assert/strict";
import { Link } from "./link.mjs";

const { API_URL, AUTH_URL, PAGE_ORIGIN } = process.env;
/** Between the pages and the API. */
export const link = await Link.to(API_URL);
export const SERVICES = { API: link.url, AUTH: AUTH_URL };

/** A chat on a page, and what a test does with it. */
export class Tab {
  /** Opens the page of somebody who has signed in: by whatever names the page and the services have. */
  static async open(context, front, id, { origin = PAGE_ORIGIN, services = SERVICES } = {}) {
    const page = await context.newPage();
    const tab = Object.assign(new this(), { page, errors: [] });
    await page.goto(origin);
    if ((await context.cookies(services.AUTH)).length === 0) await tab.signUp(services.AUTH);
    page.on("pageerror", (error) => tab.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && tab.errors.push(message.text()));
    await page.goto(`${origin}/${front}/${id}?${new URLSearchParams(services)}`);
    await tab.opened();
    return tab;
  }
  opened() {
    return this.is("ready|submitted|streaming|error");
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
  /** Presses the last button of a name, of all or of those within. */
  press(name, within = "main") {
    return this.page.locator(`${within} button[name=${name}]`).last().click();
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
  /** Waits until the page has so many messages, these texts, these places among versions. */
  count(messages) {
    return this.page.waitForFunction((count) => document.querySelectorAll("li").length === count, messages);
  }
  shows(texts) {
    return this.page.waitForFunction((texts) => JSON.stringify([...document.querySelectorAll("li")].map((item) =>
      [...item.querySelectorAll("p")].map((p) => p.textContent).join(""))) === texts, JSON.stringify(texts));
  }
  places(places) {
    return this.page.waitForFunction((places) => JSON.stringify([...document.querySelectorAll("nav")].map((nav) =>
      nav.textContent.replace(/[^\d/]/g, ""))) === places, JSON.stringify(places));
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
