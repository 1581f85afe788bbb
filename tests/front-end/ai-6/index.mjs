// What an application imports, in this folder's versions, and a document to render into.
export { Chat, useChat } from "@ai-sdk/react";
export {
  DefaultChatTransport, convertToModelMessages, jsonSchema, lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls, readUIMessageStream, streamText, tool, validateUIMessages,
} from "ai";
export { MockLanguageModelV3 } from "ai/test";
export { Window } from "happy-dom";
export { createElement } from "react";
/** Wants to be loaded once there is a document. */
export const loadReactDom = () => import("react-dom/client");
