// The page of docs/chat.md, as an application has it. What it is served with: the API, a token, the chat's id.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { createRoot } from "react-dom/client";

const { api, token, id } = JSON.parse(document.getElementById("settings").textContent);
const headers = async () => ({ authorization: `Bearer ${token}` });
const prepareSendMessagesRequest = ({ id, messages, trigger, messageId, headers }) =>
  ({ headers, body: { id, message: messages.at(-1), trigger, messageId } });
const transport = new DefaultChatTransport({ api, headers, prepareSendMessagesRequest });

function Chat({ loaded }) {
  const { messages, status, error, sendMessage, regenerate } = useChat({ id, messages: loaded, resume: true, transport });
  const stop = async () => fetch(`${api}/${id}/stop`, { method: "POST", headers: await headers() });
  const send = (event) => {
    event.preventDefault();
    sendMessage({ text: new FormData(event.target).get("text") });
  };
  return (
    <main data-status={status}>
      <ol>
        {messages.map(({ id, role, parts, metadata }) => (
          <li key={id} id={id} className={role} data-status={metadata?.status}>
            {parts.map((part, n) => part.type === "text" && <p key={n}>{part.text}</p>)}
            {parts.map((part) => part.type === "source-url" && <a key={part.sourceId} href={part.url}>{part.title}</a>)}
          </li>
        ))}
      </ol>
      {error && <p role="alert">{error.message}</p>}
      <form onSubmit={send}>
        <textarea name="text" />
        <button name="send">Send</button>
      </form>
      <button name="stop" onClick={stop}>Stop</button>
      <button name="regenerate" onClick={() => regenerate()}>Again</button>
    </main>
  );
}

const response = await fetch(`${api}/${id}`, { headers: await headers() }).catch(() => ({ status: 404 }));
const loaded = response.status === 404 ? [] : (await response.json()).data;
createRoot(document.body.appendChild(document.createElement("div"))).render(<Chat loaded={loaded} />);
