// Whether an agent that is built with the AI SDK takes the messages that it is sent: each line of the standard input is a
// list of them. Prints the first that is refused, with the reason, or nothing.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { convertToModelMessages, validateUIMessages } = await import(
  pathToFileURL(join(process.env.FRONT_END, "index.mjs"))
);

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const messages = await validateUIMessages({ messages: JSON.parse(line) });
    const prompt = await convertToModelMessages(messages);
    if (prompt.length !== messages.length) throw new Error(`${prompt.length} messages are left`);
  } catch (error) {
    console.log(`${line}: ${error}`);
    break;
  }
}
