//! `/v1/chat`

mod branches;
mod crowds;
mod outcomes;
mod quotas;
mod replays;
mod starts;
mod stops;
