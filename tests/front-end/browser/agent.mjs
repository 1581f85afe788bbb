// What a test has of the agent, and names that it can tell from all others.
import assert from "node:assert/strict";

const { AGENT_URL } = process.env;

/** Lets the agent go on with what a script holds under this name. */
export const release = async (name) =>
  assert.equal((await fetch(new URL(`/release/${name}`, AGENT_URL), { method: "POST" })).status, 204);

/** How often the agent was asked for an answer to what has this text in it. */
export const asked = async (text) => (await (await fetch(new URL(`/requests/${text}`, AGENT_URL))).json()).length;
export const unique = () => crypto.randomUUID().slice(0, 13);
