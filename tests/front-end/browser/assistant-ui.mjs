// The page of docs/assistant-ui.md.
import assert from "node:assert/strict";
import { asked, release, unique } from "./agent.mjs";
import { Tab } from "./tab.mjs";

/** A thread of assistant-ui on a page. */
export class Thread extends Tab {
  opened() {
    return this.composer().waitFor();
  }
  /** The last composer is that of a new question; before it may stand that of an edit. */
  composer() {
    return this.page.locator("textarea[name=input]").last();
  }
  press(name, nth = -1) {
    return this.page.getByRole("button", { name, exact: true }).nth(nth).click();
  }
  /** Turns to another version. */
  turn(name, nth) {
    return Promise.all([this.page.waitForResponse(/activate$/), this.press(name, nth)]);
  }
  async ask(text) {
    await this.composer().fill(text);
    await this.press("Send");
  }
  async edit(question, text) {
    await this.press("Edit", question);
    await this.page.locator("textarea[name=input]").first().fill(text);
    await this.press("Send", 0);
  }
  /** Waits until it shows so many messages of these places among versions and no answer is being written, and answers their ids. */
  async shows(count, places) {
    await this.page.waitForFunction(([count, places]) => {
      const messages = [...document.querySelectorAll("[data-message-id]")];
      const shown = messages.map((message) => /\d+\/\d+/.exec(message.textContent.replace(/.*Edit|.*Another answer/s, ""))?.[0] ?? "");
      return messages.length === count && shown.join(" ").trim() === places
        && messages.every((message) => message.querySelector("p")) && !document.querySelector("[data-status=running]");
    }, [count, places]);
    return this.page.locator("[data-message-id]").evaluateAll((messages) => messages.map((it) => it.dataset.messageId));
  }
  words(count) {
    return this.page.waitForFunction((count) =>
      document.querySelectorAll("[data-message-id]")[1]?.querySelector("p")?.textContent.split(/\s+/).length >= count, count);
  }
  async reload() {
    await this.page.reload();
    await this.opened();
  }
}

export const scenarios = {
  async "a reload in the middle of an answer, and a stop"(open) {
    const mark = unique();
    const thread = await open(mark);
    await thread.ask(`How long does a token live? ${mark}\nagent: bytes=4000 hold@5=${mark}`);
    await thread.words(5);
    await thread.reload();
    await thread.words(5);
    await thread.press("Stop");
    const shown = await thread.shows(2, "");
    await release(mark);
    await thread.reload();
    assert.deepEqual(await thread.shows(2, ""), shown);
    assert.equal(await asked(mark), 1);
  },

  async "edits, other answers and branches"(open) {
    const [id, mark, other] = [unique(), unique(), unique()];
    const thread = await open(id);
    await thread.ask(`How long does a token live? ${mark}`);
    const first = await thread.shows(2, "");
    await thread.ask(`What is a lease? ${mark}`);
    await thread.shows(4, "");
    // The first answer again: what followed it is on another branch.
    await thread.press("Another answer", 0);
    const again = await thread.shows(2, "2/2");
    assert.equal(again[0], first[0]);
    // Its own list has lost what it cut; the database hasn't.
    await thread.turn("‹");
    await thread.reload();
    const four = await thread.shows(4, "1/2");
    assert.deepEqual(four.slice(0, 2), first);
    await thread.edit(1, `What is a quota? ${other}`);
    await thread.shows(4, "1/2 2/2");
    await thread.edit(0, `Who may call? ${other}`);
    const edited = await thread.shows(2, "2/2");
    await thread.reload();
    assert.deepEqual(await thread.shows(2, "2/2"), edited);
    await thread.turn("‹", 0);
    await thread.reload();
    assert.deepEqual(await thread.shows(4, "1/2 1/2 1/2"), four);
    await thread.turn("›", -1);
    await thread.reload();
    await thread.shows(4, "1/2 1/2 2/2");
    assert.deepEqual([await asked(mark), await asked(other)], [3, 2]);
    thread.noErrors();
  },
};
