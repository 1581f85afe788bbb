//! What every Colloquy function is made of. The floors, each importing only from those below it:
//!
//! | floor | modules |
//! |---|---|
//! | top | [`runtime`], [`http`] |
//! | | [`relay`] |
//! | middle | [`db`], [`auth`], [`agent`], [`ui_stream`] |
//! | | [`secrets`] |
//! | | [`config`] |
//! | ground | [`error`], [`model`], [`id`], [`clock`], [`metrics`] |
#![warn(missing_docs, unused_crate_dependencies)]

pub mod agent;
pub mod auth;
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod http;
pub mod id;
pub mod metrics;
pub mod model;
pub mod relay;
pub mod runtime;
pub mod secrets;
pub mod tls;
pub mod ui_stream;
