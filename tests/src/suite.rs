//! The suite. `cargo xtask test` starts what it needs; its tree mirrors that of the functions.
#![warn(unused_crate_dependencies)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod agent;
mod auth;
mod chat;
mod closed;
mod conversations;
mod db;
mod deployment;
mod doctor;
mod fallback;
mod gateway;
mod head;
mod health;
mod house;
mod me;
mod messages;
mod openapi;
mod runtime;
mod secrets;
mod support;
