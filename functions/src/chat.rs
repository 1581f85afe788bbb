//! `/v1/chat`: in the dialect of the AI SDK's `useChat`.

pub mod get;
pub mod reply;
pub mod resume;
pub mod stop;
