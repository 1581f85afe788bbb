// What the AI SDK's own reader makes of a stream: each line of the standard input is a list of frames, each line that is printed
// the message: {"parts", "metadata"}, or {"error"} where the reader gave up.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { readUIMessageStream } = await import(pathToFileURL(join(process.env.FRONT_END, "index.mjs")));

for await (const line of createInterface({ input: process.stdin })) {
  let [message, failure] = [{ parts: [] }];
  const stream = new ReadableStream({
    start(controller) {
      for (const frame of JSON.parse(line)) controller.enqueue(frame);
      controller.close();
    },
  });
  try {
    const onError = (error) => (failure = error);
    for await (const next of readUIMessageStream({ stream, onError })) message = next;
  } catch (error) {
    failure = error;
  }
  const { parts, metadata } = message;
  console.log(JSON.stringify(failure ? { error: String(failure) } : { parts, metadata: metadata ?? {} }));
}
