// The page of docs/assistant-ui.md.
import { createRoot } from "react-dom/client";
import { Assistant, loadBranches } from "./assistant.jsx";
import { ID } from "./settings.js";

const branches = await loadBranches(ID);
createRoot(document.body.appendChild(document.createElement("main"))).render(<Assistant id={ID} branches={branches} />);
