//! What is deployed, and how, against what stands in for AWS.

mod deploy;
pub(crate) mod template;
