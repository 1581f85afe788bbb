// The real `Chat`, `useChat` and `DefaultChatTransport` of the AI SDK, unmodified, against running functions. Prints a
// line of JSON for each scenario: {"scenario", "ok", "error"?}.
import assert from "node:assert/strict";
import {
  asked, eventually, expectStored, foreignTransport, hasWords, history, leanTransport, page, plain, pressStop, release,
  reload, render, sources, text, unique, words,
} from "./client.mjs";
import { branches } from "./branches.mjs";

const QUESTION = "How long does a token live?";
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/;

/** A question that the agent can tell from all others, with a script for its answer. */
const question = (mark, script) => `${QUESTION} (${mark})${script ? `\nagent: ${script}` : ""}`;

const scenarios = {
  async submit() {
    const [chat, mark] = [page(), unique("submit")];
    const states = [];
    chat["~registerStatusCallback"](() => states.push(chat.status));
    const sent = chat.sendMessage({ text: question(mark, `hold@5=${mark}`) });
    await hasWords(chat, 5);
    assert.equal(chat.status, "streaming");
    assert.equal(words(chat.lastMessage), 5, "what the agent has said so far, and no more");
    assert.equal(chat.lastMessage.metadata.status, "in_progress");
    await release(mark);
    await sent;
    assert.deepEqual(states, ["submitted", "streaming", "ready"]);
    const [asks, answer] = chat.messages;
    assert.equal(chat.messages.length, 2);
    assert.match(answer.id, ID);
    assert.doesNotMatch(asks.id, ID);
    assert.match(text(answer), /token.*\[1\]/s);
    assert.equal(answer.metadata.status, "complete");
    assert.ok(Date.parse(answer.metadata.createdAt) && answer.metadata.usage.outputTokens > 0);
    assert.match(answer.metadata.parentId, ID);
    assert.equal(answer.metadata.model, "development-agent");
    assert.equal((await asked(mark)).length, 1);
    await expectStored(chat);
  },

  async sources() {
    const chat = page({ transport: leanTransport() });
    await chat.sendMessage({ text: QUESTION });
    const [first] = sources(chat.lastMessage);
    assert.match(first.url, /^http:\/\/127\.0\.0\.1:\d+\/documents\/.*\.md#/);
    assert.ok(first.title);
    assert.equal(new Set(sources(chat.lastMessage).map((source) => source.url)).size, sources(chat.lastMessage).length);
    const [, answer] = await expectStored(chat);
    assert.deepEqual(sources(answer), plain(sources(chat.lastMessage)));
  },

  async "a new chat with the client's own id"() {
    const chat = page({ id: unique("own") });
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages, chat.error], ["ready", [], undefined]);
    const events = [];
    const told = page({ id: chat.id, onData: (part) => events.push(part) });
    await told.sendMessage({ text: QUESTION });
    const [conversation] = events.filter((part) => part.type === "data-conversation");
    assert.equal(conversation.data.clientId, chat.id);
    assert.match(conversation.data.id, ID);
    assert.equal(conversation.data.title, QUESTION);
    // It is no part of the answer, and both names lead to it.
    await expectStored(told);
    assert.deepEqual(await history(conversation.data.id), await history(chat.id));
  },

  async "a conversation goes on"() {
    const chat = page({ transport: leanTransport() });
    const mark = unique("on");
    await chat.sendMessage({ text: QUESTION });
    await chat.sendMessage({ text: question(mark) });
    assert.equal(chat.messages.length, 4);
    const [{ body }] = await asked(mark);
    const roles = body.messages.map((message) => message.role).filter((role) => role !== "system");
    assert.deepEqual(roles, ["user", "assistant", "user"], "the history came from the database");
    await expectStored(chat);
    const again = await reload(chat.id);
    assert.deepEqual(again.messages.map((message) => message.id), chat.messages.map((message) => message.id));
    await again.sendMessage({ text: QUESTION });
    assert.equal(again.messages.length, 6);
    await expectStored(again);
  },

  async stop() {
    const [chat, mark] = [page(), unique("stop")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    const pressed = await pressStop(chat.id);
    assert.deepEqual(pressed, { status: 202, body: { messageId: chat.lastMessage.id } });
    await sent;
    assert.equal(chat.status, "ready");
    assert.equal(words(chat.lastMessage), 4, "what was written stays");
    assert.equal(chat.lastMessage.metadata.status, "stopped");
    await expectStored(chat);
    await eventually("the agent to be left", async () => (await asked(mark))[0].outcome === "left");
    assert.equal((await pressStop(chat.id)).status, 204, "nothing runs any more");
    await chat.sendMessage({ text: QUESTION });
    assert.equal(chat.messages.length, 4);
    await expectStored(chat);
  },

  async "closing the page stops nothing"() {
    const [chat, mark] = [page(), unique("close")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    await chat.stop();
    await sent;
    await release(mark);
    const stored = await eventually("the whole answer", async () => {
      const messages = await history(chat.id);
      return messages.length === 2 && messages;
    });
    assert.equal(stored[1].metadata.status, "complete");
    assert.match(text(stored[1]), /token.*\[1\]/s);
  },

  async regenerate() {
    const [chat, mark] = [page(), unique("again")];
    await chat.sendMessage({ text: question(mark) });
    const [asks, first] = chat.messages;
    await chat.regenerate();
    assert.equal(chat.messages.length, 2);
    assert.equal(chat.messages[0].id, asks.id);
    assert.notEqual(chat.lastMessage.id, first.id);
    assert.equal((await asked(mark)).length, 2);
    await expectStored(chat);
    await chat.sendMessage({ text: QUESTION });
    await chat.regenerate({ messageId: chat.messages[1].id });
    assert.equal(chat.messages.length, 2, "what followed leaves the active branch");
    assert.equal((await asked(mark)).length, 3);
    await expectStored(chat);
  },

  async edit() {
    const [chat, mark] = [page(), unique("edit")];
    await chat.sendMessage({ text: QUESTION });
    await chat.sendMessage({ text: QUESTION });
    const [asks, first] = chat.messages;
    await chat.sendMessage({ text: question(mark), messageId: asks.id });
    assert.equal(chat.messages.length, 2);
    assert.equal(chat.messages[0].id, asks.id);
    assert.notEqual(chat.messages[1].id, first.id);
    assert.equal((await asked(mark)).length, 1);
    const [question_] = await expectStored(chat);
    assert.equal(text(question_), question(mark));
    const again = await reload(chat.id, { transport: leanTransport() });
    await again.regenerate();
    await again.sendMessage({ text: `${QUESTION} Again.`, messageId: again.messages[0].id });
    assert.equal(again.messages.length, 2);
    await expectStored(again);
  },

  async "an error in the middle"() {
    const [chat, mark] = [page(), unique("error")];
    const failures = [];
    const watched = page({ id: chat.id, onError: (error) => failures.push(error.message) });
    await watched.sendMessage({ text: question(mark, "error@4") });
    assert.equal(watched.status, "error");
    assert.deepEqual(failures, [watched.error.message]);
    assert.doesNotMatch(watched.error.message, /overloaded|127\.0\.0\.1/, "the agent's own words are for the log");
    assert.equal(words(watched.lastMessage), 4, "what was written stays");
    assert.equal(watched.lastMessage.metadata.status, "failed");
    await expectStored(watched);
    await watched.sendMessage({ text: QUESTION });
    assert.equal(watched.status, "ready");
    await expectStored(watched);
  },

  async "an agent that is cut"() {
    const chat = page();
    await chat.sendMessage({ text: question(unique("cut"), "cut@4") });
    assert.equal(chat.status, "error");
    assert.equal(chat.lastMessage.metadata.status, "incomplete");
    assert.equal(words(chat.lastMessage), 4);
    await expectStored(chat);
  },

  async "an agent that refuses"() {
    const [chat, mark] = [page(), unique("refuse")];
    await chat.sendMessage({ text: question(mark, "status=500") });
    assert.equal(chat.status, "error");
    assert.equal(chat.lastMessage.metadata?.status, "failed");
    await expectStored(chat);
    assert.equal((await asked(mark)).length, 1);
  },

  async "an answer that is too long"() {
    const chat = page();
    await chat.sendMessage({ text: question(unique("length"), "finish=length") });
    assert.equal(chat.status, "ready");
    assert.equal(chat.lastMessage.metadata.status, "incomplete");
    await expectStored(chat);
  },

  async "a picture"() {
    const [chat, mark] = [page(), unique("picture")];
    const picture = { type: "file", mediaType: "image/png", filename: "e.png", url: "data:image/png;base64,iVBORw0KGgo=" };
    await chat.sendMessage({ text: question(mark), files: [picture] });
    assert.equal(chat.status, "ready");
    const [{ body }] = await asked(mark);
    const image = { type: "image_url", image_url: { url: picture.url } };
    const prompt = body.messages.filter((message) => message.role !== "system");
    assert.deepEqual(prompt, [{ role: "user", content: [image, { type: "text", text: question(mark) }] }]);
    const [asks] = await expectStored(chat);
    assert.deepEqual(asks.parts[0], picture, "the page shows it after a reload");
    await chat.sendMessage({ text: QUESTION });
    await chat.regenerate({ messageId: chat.messages[1].id });
    assert.equal((await asked(mark)).length, 2);
    await expectStored(chat);
  },

  async "a file alone"() {
    const events = [];
    const chat = page({ onData: (part) => events.push(part) });
    const name = `${unique("alone")}.png`;
    const picture = { type: "file", mediaType: "image/png", filename: name, url: "https://files.example/e.png" };
    await chat.sendMessage({ files: [picture] });
    assert.equal(chat.status, "ready");
    assert.equal(events[0].data.title, name);
    await expectStored(chat);
    await chat.sendMessage({ text: QUESTION });
    assert.equal(chat.messages.length, 4);
    await expectStored(chat);
  },

  async "a file that the agent takes in no form"() {
    const [chat, mark] = [page(), unique("pdf")];
    const leave = { type: "file", mediaType: "application/pdf", filename: "leave.pdf", url: "https://files.example/leave.pdf" };
    await chat.sendMessage({ files: [leave] });
    assert.equal(chat.status, "error");
    const problem = JSON.parse(chat.error.message);
    assert.equal(problem.code, "invalid_request");
    assert.deepEqual(problem.errors.map((fault) => fault.pointer), ["/messages/0/parts/0/mediaType"]);
    await assert.rejects(history(chat.id), "nothing is stored");
    await chat.sendMessage({ text: question(mark) });
    assert.equal(chat.status, "ready", "the page goes on");
    assert.equal((await asked(mark)).length, 1);
    assert.equal((await history(chat.id)).length, 2);
  },

  async "a token that isn't one"() {
    const chat = page({ transport: foreignTransport() });
    await chat.sendMessage({ text: QUESTION });
    assert.equal(chat.status, "error");
    assert.equal(JSON.parse(chat.error.message).code, "unauthenticated");
  },

  async "resume after a reload"() {
    const [chat, mark] = [page(), unique("resume")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    const [one, two] = [await reload(chat.id), await reload(chat.id)];
    assert.equal(one.messages.length, 1, "the page ends at the question");
    const resumed = [one.resumeStream(), two.resumeStream()];
    await Promise.all([hasWords(one, 4), hasWords(two, 4)]);
    assert.equal(one.lastMessage.id, chat.lastMessage.id);
    await release(mark);
    await Promise.all([sent, ...resumed]);
    assert.deepEqual([one.status, two.status, chat.status], ["ready", "ready", "ready"]);
    await expectStored(chat);
    await expectStored(one);
    await expectStored(two);
    assert.equal((await asked(mark)).length, 1);
  },

  async "resume after a broken connection"() {
    const [chat, mark] = [page(), unique("broken")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    await chat.stop();
    await sent;
    const resumed = chat.resumeStream();
    await release(mark);
    await resumed;
    assert.equal(chat.messages.length, 2);
    await expectStored(chat);
  },

  async "resume right after the end"() {
    const chat = page();
    await chat.sendMessage({ text: QUESTION });
    const shown = plain(chat.messages);
    await chat.resumeStream();
    assert.deepEqual(plain(chat.messages), shown);
    const again = await reload(chat.id);
    await again.resumeStream();
    assert.deepEqual([again.status, again.error], ["ready", undefined]);
    await expectStored(again);
  },

  async "resume a stopped answer"() {
    const [chat, mark] = [page(), unique("stopped")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    await pressStop(chat.id);
    await sent;
    const again = await reload(chat.id);
    await again.resumeStream();
    assert.equal(again.lastMessage.metadata.status, "stopped");
    await expectStored(again);
  },

  async "nothing to resume"() {
    const chat = page({ id: unique("nothing") });
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages, chat.error], ["ready", [], undefined]);
  },

  async "the same question twice"() {
    const [mark, id] = [unique("twice"), unique("twice")];
    const message = { id: unique("q"), role: "user", parts: [{ type: "text", text: question(mark) }] };
    const pages = [page({ id }), page({ id })];
    await Promise.all(pages.map((chat) => chat.sendMessage(message)));
    for (const chat of pages) {
      assert.deepEqual([chat.status, chat.error], ["ready", undefined]);
      await expectStored(chat);
    }
    // And once more, later.
    const later = page({ id });
    await later.sendMessage(message);
    await expectStored(later);
    assert.equal((await asked(mark)).length, 1);
  },

  async "another question while an answer runs"() {
    const [chat, mark] = [page(), unique("busy")];
    const sent = chat.sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await hasWords(chat, 4);
    const other = page({ id: chat.id });
    await other.sendMessage({ text: question(mark) });
    assert.equal(other.status, "error");
    assert.equal(JSON.parse(other.error.message).code, "turn_running");
    await release(mark);
    await sent;
    await expectStored(chat);
    assert.equal((await asked(mark)).length, 1);
  },

  ...branches,

  async "a rendered useChat"() {
    const [id, mark] = [unique("hook"), unique("hook")];
    const first = await render(id, []);
    await eventually("nothing to resume", () => first.hook().status === "ready");
    first.hook().sendMessage({ text: question(mark, `hold@4=${mark}`) });
    await eventually("four words", () => first.paragraphs()[1]?.split(/\s+/).length === 4);
    assert.equal(first.hook().status, "streaming");
    first.close();

    const second = await render(id, await history(id));
    await eventually("the replay", () => second.paragraphs()[1]?.split(/\s+/).length === 4);
    await release(mark);
    await eventually("the end", () => second.hook().status === "ready");
    assert.equal(second.paragraphs().length, 2);
    assert.match(second.paragraphs()[1], /token.*\[1\]/s);
    await expectStored({ id, messages: second.hook().messages });
    second.close();
  },
};

const [, , only = ""] = process.argv;
for (const [scenario, play] of Object.entries(scenarios).filter(([name]) => name.includes(only))) {
  const failure = await play().then(() => undefined, (error) => error?.stack ?? String(error));
  console.log(JSON.stringify({ scenario, ok: failure === undefined, error: failure }));
}
// What a failed scenario left open holds nobody up.
process.exit(0);
