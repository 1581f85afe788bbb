//! Functions behind the real Lambda Runtime API.

mod events;
mod journeys;
mod logs;
mod start;
