// Scenarios of pages with several branches, as `scenarios.mjs` plays them.
import assert from "node:assert/strict";
import {
  activate, asked, everything, expectStored, hasWords, history, leanTransport, page, plain, pressStop, reload, remove, text,
  unique,
} from "./client.mjs";

const QUESTION = "How long does a token live?";

/** What the agent was given with this question: who spoke. */
async function given(mark) {
  const [{ body }] = await asked(mark);
  return body.messages.map((message) => message.role).filter((role) => role !== "system");
}

/** A page with two questions and their answers. */
async function talk() {
  const chat = page();
  await chat.sendMessage({ text: QUESTION });
  await chat.sendMessage({ text: `${QUESTION} And why?` });
  assert.equal(chat.messages.length, 4);
  return chat;
}

export const branches = {
  async "a question right behind a stop"() {
    const chat = page();
    const sent = chat.sendMessage({ text: `${QUESTION}\nagent: silent@4` });
    await hasWords(chat, 4);
    assert.equal((await pressStop(chat.id)).status, 202);
    // Another page, which doesn't wait for this one's stream to end.
    const other = page({ id: chat.id, messages: plain(chat.messages) });
    await other.sendMessage({ text: `${QUESTION} Then?` });
    await sent;
    assert.deepEqual([other.status, other.error], ["ready", undefined]);
    assert.deepEqual(
      (await history(chat.id)).filter((message) => message.role === "assistant").map(({ metadata }) => metadata.status),
      ["stopped", "complete"],
    );
  },

  // What assistant-ui does: the list is cut, and the edit is a new message.
  async "an edit of a list that was cut"() {
    const [chat, mark] = [await talk(), unique("cut")];
    const [, , question, answer] = chat.messages;
    chat.messages = chat.messages.slice(0, 2);
    await chat.sendMessage({ text: mark });
    assert.deepEqual(await given(mark), ["user", "assistant", "user"]);
    const stored = await expectStored(chat);
    assert.equal(stored.length, 4);
    assert.equal(chat.lastMessage.metadata.branch.left, answer.id);
    const { ids, index } = stored[2].metadata.siblings;
    assert.deepEqual([ids.length, index, ids[1]], [2, 1, stored[2].metadata.id]);
    assert.deepEqual(chat.lastMessage.metadata.branch.questionSiblings, { ids, index });
    const { messages, headId } = await everything(chat.id);
    assert.equal(headId, chat.lastMessage.id);
    assert.deepEqual(messages.map(({ parentId }) => parentId), [
      null, chat.messages[0].id, chat.messages[1].id, question.id, chat.messages[1].id, chat.messages[2].id,
    ]);
    // The first of all: there is nothing before it.
    chat.messages = [];
    await chat.sendMessage({ text: `${mark} again` });
    assert.equal((await history(chat.id)).length, 6, "a list with the question alone says nothing of its place");
  },

  async "an edit with an id of its own"() {
    const [chat, mark] = [await talk(), unique("own")];
    const [question] = plain(chat.messages);
    const edited = page({ id: chat.id, transport: leanTransport((body) => ({ ...body, messageId: question.id })) });
    await edited.sendMessage({ text: mark });
    const [stored] = await expectStored(edited);
    assert.deepEqual([stored.id, text(stored)], [edited.messages[0].id, mark]);
    assert.notEqual(stored.id, question.id);
    await activate(chat.id, question.id);
    assert.deepEqual((await history(chat.id)).map((message) => message.id), chat.messages.map((message) => message.id));
  },

  async "a stale tab"() {
    const [one, mark] = [page(), unique("stale")];
    await one.sendMessage({ text: QUESTION });
    const two = await reload(one.id);
    await two.sendMessage({ text: `${QUESTION} And why?` });
    await one.sendMessage({ text: mark });
    assert.deepEqual(await given(mark), ["user", "assistant", "user"]);
    assert.equal(one.lastMessage.metadata.branch.left, two.lastMessage.id);
    const stored = await expectStored(one);
    await activate(one.id, stored[2].metadata.siblings.ids[0]);
    await expectStored(two);
  },

  async "arrows between versions"() {
    const chat = await talk();
    const first = plain(chat.messages);
    await chat.regenerate();
    const again = plain(chat.messages);
    const { ids, index } = chat.lastMessage.metadata.siblings;
    assert.deepEqual([ids, index], [[first[3].id, again[3].id], 1]);
    await expectStored(chat);
    await chat.sendMessage({ text: `${QUESTION} Edited.`, messageId: chat.messages[0].id });
    const stored = await expectStored(chat);
    assert.equal(stored[0].id, first[0].id, "the SDK's own edit keeps the id");
    const versions = stored[0].metadata.siblings;
    assert.deepEqual([versions.ids.length, versions.index, versions.ids[1]], [2, 1, stored[0].metadata.id]);
    await activate(chat.id, versions.ids[0]);
    const back = await reload(chat.id);
    assert.deepEqual(back.messages.map(({ id }) => id), again.map(({ id }) => id), "and below it the newest");
    await back.sendMessage({ text: QUESTION });
    await expectStored(back);
    const tree = await everything(chat.id);
    assert.equal(new Set(tree.messages.map(({ message }) => message.id)).size, tree.messages.length);
  },

  async "a chat that was deleted in another tab"() {
    const chat = await talk();
    const id = await remove(chat.id);
    const late = page({ id });
    await late.sendMessage({ text: QUESTION });
    assert.equal(late.status, "error");
    assert.equal(JSON.parse(late.error.message).code, "not_found");
  },
};
