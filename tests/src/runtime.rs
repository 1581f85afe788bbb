//! Functions behind the real Lambda Runtime API.

mod concurrency;
mod events;
mod freezing;
mod init_errors;
mod journeys;
mod logs;
mod memory;
mod metrics;
mod migrate;
mod nodelay;
mod panics;
mod shapes;
mod start;
mod streams;
mod sweep;
