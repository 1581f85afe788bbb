//! The house itself: what its parts must agree on.

mod agreement;
mod floors;
mod settings;
