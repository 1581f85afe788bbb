//! Functions behind the real Lambda Runtime API. What only Linux tells of a process is tested there.

mod concurrency;
mod events;
#[cfg(target_os = "linux")]
mod freezing;
mod init_errors;
mod journeys;
mod logs;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod migrate;
#[cfg(target_os = "linux")]
mod nodelay;
mod panics;
mod shapes;
mod start;
mod streams;
mod sweep;
