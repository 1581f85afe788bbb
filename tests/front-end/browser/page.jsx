// The page of docs/chat.md. `window.load` is for the test alone.
import { createRoot } from "react-dom/client";
import { load } from "./api.js";
import { ChatPage } from "./chat.jsx";
import { ID } from "./settings.js";

window.load = load;
// A page of an origin that may not call shows what it can: nothing.
const loaded = await load(ID).catch(() => []);
createRoot(document.body.appendChild(document.createElement("div"))).render(<ChatPage id={ID} loaded={loaded} />);
