//! Functions behind the real Lambda Runtime API.

mod concurrency;
mod events;
mod journeys;
mod logs;
mod migrate;
mod start;
mod streams;
mod sweep;
