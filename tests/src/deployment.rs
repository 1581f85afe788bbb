//! What is deployed, and how, against what stands in for AWS.

mod build;
mod deploy;
mod local;
pub(crate) mod template;
