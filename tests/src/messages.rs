//! `/v1/conversations/{id}/messages`

mod append;
mod get;
mod list;
mod texts;
