// A page of a front end, and what a test has beside it: the history, the stop button, the agent's own word.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// FRONT_END: the folder of a version of the AI SDK; API_URL, TOKEN: the functions and a user's token;
// AGENT_URL: the development agent, which the suite scripts.
const { FRONT_END, API_URL, TOKEN, AGENT_URL } = process.env;

const { Chat, DefaultChatTransport, Window, createElement, loadReactDom, useChat } = await import(
  pathToFileURL(join(FRONT_END, "index.mjs"))
);

const api = `${API_URL}/v1/chat`;
const headers = async () => ({ authorization: `Bearer ${TOKEN}` });

// As docs/chat.md has it: whatever the page shows, the last message and the ids are all that is sent.
const lean = ({ id, messages, trigger, messageId, headers }) => ({
  body: { id, message: messages.at(-1), trigger, messageId },
  headers,
});

export const fullTransport = () => new DefaultChatTransport({ api, headers });
/** The lean transport, whose body an application may change. */
export const leanTransport = (change = (body) => body) =>
  new DefaultChatTransport({
    api,
    headers,
    prepareSendMessagesRequest: (options) => {
      const { body, headers } = lean(options);
      return { body: change(body), headers };
    },
  });
export const foreignTransport = () =>
  new DefaultChatTransport({ api, headers: { authorization: "Bearer nobody's" } });

export const unique = (what) => `${what}-${crypto.randomUUID().slice(0, 8)}`;

/** A page with a chat as an application makes it. */
export const page = (options = {}) => new Chat({ transport: fullTransport(), ...options });

/** A page with the hook, rendered: what docs/chat.md shows. `hook` is what the hook answers. */
export async function render(id, messages) {
  const { document, navigator } = (globalThis.window ??= new Window());
  globalThis.document = document;
  // Node.js 20 has none of its own.
  globalThis.navigator ??= navigator;
  const { createRoot } = await loadReactDom();
  const rendered = { hook: undefined, paragraphs: () => [...place.children].map((p) => p.textContent) };
  const Page = () => {
    rendered.hook = useChat({ id, messages, resume: true, transport: leanTransport() });
    return rendered.hook.messages.map((message) => createElement("p", { key: message.id }, text(message)));
  };
  const place = document.body.appendChild(document.createElement("main"));
  const root = createRoot(place);
  root.render(createElement(Page));
  await eventually("the page", () => rendered.hook);
  return { ...rendered, hook: () => rendered.hook, close: () => root.unmount() };
}

/** The same conversation on a page that was opened anew. */
export const reload = async (id, options = {}) => page({ id, messages: await history(id), ...options });

export async function history(id) {
  const response = await fetch(`${api}/${id}`, { headers: await headers() });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()).data;
}

/** All branches, as a repository of messages is made of them. */
export async function everything(id) {
  const pages = [];
  for (let query = "branch=all&limit=3"; query; ) {
    const response = await fetch(`${api}/${id}?${query}`, { headers: await headers() });
    assert.equal(response.status, 200, await response.clone().text());
    pages.push(await response.json());
    const { nextCursor } = pages.at(-1);
    query = nextCursor && `branch=all&limit=3&cursor=${nextCursor}`;
  }
  const messages = pages.flatMap((page) => page.messages);
  const known = new Set([null]);
  for (const { message, parentId } of messages) {
    assert.ok(known.has(parentId), "a parent comes before its children");
    known.add(message.id);
  }
  return { headId: pages.at(-1).headId, messages };
}

/** An arrow: shows the branch of this message. */
export async function activate(id, messageId) {
  const url = `${API_URL}/v1/conversations/${id}/messages/${messageId}/activate`;
  const response = await fetch(url, { method: "POST", headers: await headers() });
  assert.equal(response.status, 200, await response.clone().text());
}

/** Deletes a chat; answers our id of it. */
export async function remove(id) {
  const url = `${API_URL}/v1/conversations/${id}`;
  const conversation = await (await fetch(url, { headers: await headers() })).json();
  assert.equal((await fetch(url, { method: "DELETE", headers: await headers() })).status, 204);
  return conversation.id;
}

/** The stop button. */
export async function pressStop(id) {
  const response = await fetch(`${api}/${id}/stop`, { method: "POST", headers: await headers() });
  return { status: response.status, body: response.status === 202 ? await response.json() : undefined };
}

/** The completions that the agent was asked for with this text in the question. */
export async function asked(text) {
  const response = await fetch(new URL(`/requests/${encodeURIComponent(text)}`, AGENT_URL));
  assert.equal(response.status, 200);
  return response.json();
}

/** Lets the agent go on with what a script holds under this name. */
export async function release(name) {
  assert.equal((await fetch(new URL(`/release/${name}`, AGENT_URL), { method: "POST" })).status, 204);
}

/** A value as JSON shows it: what is undefined is absent. */
export const plain = (value) => JSON.parse(JSON.stringify(value));
export const text = (message) =>
  message.parts.filter((part) => part.type === "text").map((part) => part.text).join("");
export const sources = (message) => message.parts.filter((part) => part.type === "source-url");
export const words = (message) => text(message).split(/\s+/).filter(Boolean).length;

export async function eventually(what, ask) {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until the answer on a page has so many words. */
export const hasWords = (chat, count) =>
  eventually(`${count} words`, () => chat.lastMessage?.role === "assistant" && words(chat.lastMessage) >= count);

/** What is on the page is what is stored: ids, roles and parts of all, metadata of the answers. */
export async function expectStored(chat) {
  const shown = plain(chat.messages);
  const stored = await history(chat.id);
  const withoutQuestions = (messages) =>
    messages.map(({ metadata, ...message }) => (message.role === "assistant" ? { ...message, metadata } : message));
  assert.deepEqual(withoutQuestions(shown), withoutQuestions(stored));
  return stored;
}
