// An agent as a team builds one with the AI SDK: `streamText` with tools, behind a server of its own. Only its model is a
// fake, since that is what costs. `POST /` speaks the SDK's stream, `POST /v1/chat/completions` the protocol of OpenAI's,
// `GET /requests` answers with what it was asked. Prints its URL.
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { MockLanguageModelV3, convertToModelMessages, jsonSchema, streamText, tool } = await import(
  pathToFileURL(join(process.env.FRONT_END, "index.mjs"))
);

const inputSchema = jsonSchema({ type: "object", properties: {} });
const tools = {
  // Runs here, if the reader agrees.
  delete_file: tool({ inputSchema, needsApproval: true, execute: async () => "deleted" }),
  // Runs in the page.
  getLocation: tool({ inputSchema }),
};

/** The tools that a question wants: "call a and b". The model gives them the same ids each time. */
const wanted = (question) => {
  const [, names] = /call (\w+(?: and \w+)*)/.exec(question) ?? [];
  return names ? names.split(" and ").map((toolName, n) => ({ toolCallId: `c${n + 1}`, toolName })) : [];
};

/** What it says, word by word; slowly where the question wants it. */
async function* words(question, text) {
  for (const word of text.split(/(?<= )/)) {
    if (question.includes("slowly")) await new Promise((resolve) => setTimeout(resolve, 100));
    yield word;
  }
}

async function* said(prompt) {
  const questions = prompt.filter(({ role }) => role === "user");
  const question = questions.at(-1).content.map(({ text }) => text).join("");
  const last = prompt.at(-1);
  const calls = last.role === "user" ? wanted(question) : [];
  yield { type: "stream-start", warnings: [] };
  if (calls.length > 0) {
    for (const call of calls) yield { type: "tool-call", ...call, input: "{}" };
  } else {
    const results = last.role === "tool" ? last.content.filter(({ type }) => type === "tool-result") : [];
    const told = results.map(({ toolName, output }) => `${toolName}: ${output.value ?? output.reason ?? output.type}`);
    yield { type: "text-start", id: "t" };
    for await (const delta of words(question, told.join(", ") || "Fine.")) yield { type: "text-delta", id: "t", delta };
    yield { type: "text-end", id: "t" };
  }
  const unified = calls.length > 0 ? "tool-calls" : "stop";
  const usage = {
    inputTokens: { total: 10, noCache: 10, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 5, text: 5, reasoning: 0 },
  };
  yield { type: "finish", finishReason: { unified, raw: unified }, usage };
}

async function answer(messages) {
  const model = new MockLanguageModelV3({ doStream: async ({ prompt }) => ({ stream: ReadableStream.from(said(prompt)) }) });
  const result = streamText({ model, tools, messages: await convertToModelMessages(messages) });
  const messageMetadata = ({ part }) => (part.type === "finish" ? { usage: part.totalUsage } : undefined);
  return result.toUIMessageStreamResponse({ originalMessages: messages, messageMetadata });
}

async function* completion(messages) {
  const question = messages.findLast(({ role }) => role === "user").content;
  const calls = messages.at(-1).role === "user" ? wanted(question) : [];
  const choice = (delta, finish_reason = null) =>
    `data: ${JSON.stringify({ id: "x", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  if (calls.length > 0) {
    const tool_calls = calls.map(({ toolCallId: id, toolName: name }, index) => ({
      index, id, type: "function", function: { name, arguments: "{}" },
    }));
    yield choice({ tool_calls });
    yield choice({}, "tool_calls");
  } else {
    const results = messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
    const told = results.filter(({ role }) => role === "tool").map(({ content }) => content);
    for await (const content of words(question, told.join(", ") || "Fine.")) yield choice({ content });
    yield choice({}, "stop");
  }
  yield "data: [DONE]\n\n";
}

const requests = [];
const server = createServer(async (request, response) => {
  if (request.method === "GET") return response.end(JSON.stringify(requests));
  let body = "";
  for await (const bytes of request) body += bytes;
  const { messages } = JSON.parse(body);
  requests.push(messages);
  response.setHeader("content-type", "text/event-stream");
  try {
    const stream = request.url.endsWith("/completions") ? completion(messages) : (await answer(messages)).body;
    for await (const piece of stream) response.write(piece);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.statusCode = 500;
  }
  response.end();
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
