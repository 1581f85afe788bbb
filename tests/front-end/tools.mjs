// Tools that wait for the reader, with the real `Chat` of the AI SDK, unmodified. The agent is `ui-agent.mjs`, in the
// protocol that PROTOCOL names. Prints a line of JSON for each scenario: {"scenario", "ok", "error"?}.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { eventually, expectStored, fullTransport, hasWords, history, page, reload, text, unique } from "./client.mjs";

const {
  DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses: decided,
  lastAssistantMessageIsCompleteWithToolCalls: answered,
} = await import(pathToFileURL(join(process.env.FRONT_END, "index.mjs")));

const sendAutomaticallyWhen = (options) => decided(options) || answered(options);
const options = { sendAutomaticallyWhen };
const isUi = process.env.PROTOCOL === "ui-message-stream";

const calls = (message) => message.parts.filter((part) => part.toolCallId);
const states = (message) => calls(message).map((part) => part.state);

/** What the agent was asked with this mark in it. */
async function asked(mark) {
  const requests = await (await fetch(new URL("/requests", process.env.UI_AGENT_URL))).json();
  return requests.filter((messages) => JSON.stringify(messages).includes(mark));
}

/** Waits until the page has nothing more to say: a page that posts for ever never is. */
const settled = (chat, words) =>
  eventually(`"${words}"`, () => chat.status === "ready" && chat.lastMessage?.role === "assistant" && text(chat.lastMessage).includes(words));

/** A page whose question calls these tools. */
async function waiting(wish, change = {}) {
  const [chat, mark] = [page({ ...options, ...change }), unique("tool")];
  await chat.sendMessage({ text: `${wish} (${mark})` });
  assert.equal(chat.status, "ready", chat.error?.message);
  assert.equal(chat.lastMessage.metadata.finishReason, "tool-calls");
  await expectStored(chat);
  return { chat, mark, id: chat.lastMessage.id };
}

const approve = (chat, approved, message = chat.lastMessage) => {
  const { approval } = calls(message).find((part) => part.state === "approval-requested");
  return chat.addToolApprovalResponse({ id: approval.id, approved });
};
const locate = (chat, output, message = chat.lastMessage) => {
  const { toolCallId } = calls(message).find((part) => part.state === "input-available");
  return chat.addToolOutput({ tool: "getLocation", toolCallId, output });
};

/** One message, of that id, as it is stored, for so many requests to the agent. */
async function expectOne({ chat, mark, id }, requests) {
  const [, answer, ...others] = await expectStored(chat);
  assert.deepEqual([answer.id, others], [id, []]);
  assert.equal(answer.metadata.finishReason, "stop");
  assert.equal((await asked(mark)).length, requests);
  return answer;
}

const approvals = {
  async "approval of a tool"() {
    const scene = await waiting("call delete_file");
    await approve(scene.chat, true);
    await settled(scene.chat, "delete_file: deleted");
    const answer = await expectOne(scene, 2);
    assert.deepEqual(states(answer), ["output-available"]);
    assert.equal(answer.metadata.usage.totalTokens, 30);
  },

  async "a tool that is denied"() {
    const scene = await waiting("call delete_file");
    await approve(scene.chat, false);
    await settled(scene.chat, "delete_file:");
    assert.deepEqual(states(await expectOne(scene, 2)), ["output-denied"]);
  },

  async "approval from another device"() {
    const scene = await waiting("call delete_file");
    const other = await reload(scene.chat.id, options);
    await approve(other, true);
    await settled(other, "delete_file: deleted");
    await expectOne({ ...scene, chat: other }, 2);
    // The first page hasn't seen it, and decides the same: it gets the same answer, and nobody is asked again.
    await approve(scene.chat, true);
    await settled(scene.chat, "delete_file: deleted");
    await expectOne(scene, 2);
  },

  async "another decision from another device"() {
    const scene = await waiting("call delete_file");
    const other = await reload(scene.chat.id, options);
    await approve(other, true);
    await settled(other, "delete_file: deleted");
    await approve(scene.chat, false);
    await eventually("a refusal", () => scene.chat.status === "error");
    assert.equal(JSON.parse(scene.chat.error.message).code, "conflict");
    await expectOne({ ...scene, chat: other }, 2);
  },

  async "both kinds in one step"() {
    const scene = await waiting("call delete_file and getLocation");
    await locate(scene.chat, "Bern");
    assert.equal((await asked(scene.mark)).length, 1, "one still waits");
    await approve(scene.chat, true);
    await settled(scene.chat, "Bern");
    assert.deepEqual(states(await expectOne(scene, 2)), ["output-available", "output-available"]);
  },

  async "words instead of an approval"() {
    const { chat, mark, id } = await waiting("call delete_file");
    await chat.sendMessage({ text: "no, leave it" });
    await settled(chat, "Fine.");
    assert.equal(chat.messages.length, 4);
    assert.equal((await asked(mark)).length, 2);
    const stored = await history(chat.id);
    assert.deepEqual([stored[1].id, stored.length], [id, 4]);
    await chat.sendMessage({ text: "thanks" });
    await settled(chat, "Fine.");
  },
};

const tools = {
  async "a tool of the client's"() {
    const scene = await waiting("call getLocation");
    await locate(scene.chat, "Bern");
    await settled(scene.chat, "Bern");
    assert.deepEqual(states(await expectOne(scene, 2)), ["output-available"]);
    // Its output is part of what is said from now on.
    await scene.chat.sendMessage({ text: "thanks" });
    await settled(scene.chat, "Fine.");
    const [told] = (await asked(scene.mark)).slice(-1);
    assert.match(JSON.stringify(told), /Bern/);
    await expectStored(scene.chat);
  },

  async "a tool of the client's that fails"() {
    const scene = await waiting("call getLocation");
    const [{ toolCallId }] = calls(scene.chat.lastMessage);
    await scene.chat.addToolOutput({ state: "output-error", tool: "getLocation", toolCallId, errorText: "no GPS" });
    await settled(scene.chat, "no GPS");
    assert.deepEqual(states(await expectOne(scene, 2)), ["output-error"]);
  },

  async "the same tool in every turn"() {
    const scene = await waiting("call getLocation");
    await locate(scene.chat, "Bern");
    await settled(scene.chat, "Bern");
    await scene.chat.sendMessage({ text: "call getLocation again" });
    await eventually("a call", () => scene.chat.status === "ready");
    await locate(scene.chat, "Basel");
    await settled(scene.chat, "Basel");
    const stored = await expectStored(scene.chat);
    assert.equal(stored.length, 4);
    assert.deepEqual(stored.flatMap((message) => calls(message).map((part) => part.output)), ["Bern", "Basel"]);
    const ids = stored.flatMap((message) => calls(message).map((part) => part.toolCallId));
    assert.equal(new Set(ids).size, 2);
  },

  async "two tools in one step"() {
    const scene = await waiting("call getLocation and getLocation");
    await locate(scene.chat, "Bern");
    assert.equal((await asked(scene.mark)).length, 1, "one still waits");
    await locate(scene.chat, "Basel");
    await settled(scene.chat, "Basel");
    await expectOne(scene, 2);
  },

  async "a connection that breaks behind the answer"() {
    let breaks = false;
    const breaking = new DefaultChatTransport({
      api: `${process.env.API_URL}/v1/chat`,
      headers: { authorization: `Bearer ${process.env.TOKEN}` },
      fetch: async (...request) => {
        const response = await fetch(...request);
        if (!breaks) return response;
        breaks = false;
        await response.body.cancel();
        throw new TypeError("network error");
      },
    });
    const scene = await waiting("call getLocation", { transport: breaking });
    breaks = true;
    await locate(scene.chat, "Bern");
    await eventually("the error", () => scene.chat.status === "error");
    await scene.chat.sendMessage();
    await settled(scene.chat, "Bern");
    await expectOne(scene, 2);
  },

  async "a reload while it goes on"() {
    const scene = await waiting("slowly, call getLocation");
    const sent = locate(scene.chat, "one two three four five six seven eight nine ten");
    await hasWords(scene.chat, 3);
    const other = page({ ...options, id: scene.chat.id, messages: await history(scene.chat.id), transport: fullTransport() });
    const resumed = other.resumeStream();
    await settled(scene.chat, "ten");
    await Promise.all([sent, resumed]);
    await expectOne({ ...scene, chat: other }, 2);
    await expectOne(scene, 2);
  },

  async "another answer instead"() {
    const { chat, mark, id } = await waiting("call getLocation");
    await chat.regenerate();
    assert.notEqual(chat.lastMessage.id, id);
    await locate(chat, "Bern");
    await settled(chat, "Bern");
    assert.equal((await expectStored(chat)).length, 2);
    assert.equal((await asked(mark)).length, 3);
  },
};

const scenarios = isUi ? { ...approvals, ...tools } : tools;
const [, , only = ""] = process.argv;
for (const [scenario, play] of Object.entries(scenarios).filter(([name]) => name.includes(only))) {
  const failure = await play().then(() => undefined, (error) => error?.stack ?? String(error));
  console.log(JSON.stringify({ scenario, ok: failure === undefined, error: failure }));
}
process.exit(0);
