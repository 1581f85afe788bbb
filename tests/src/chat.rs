//! `/v1/chat`

mod agent_cases;
mod assembling;
mod branches;
mod crowds;
mod endings;
mod files;
mod followers;
mod front_end;
mod outcomes;
mod places;
mod quotas;
mod replays;
mod sources;
mod starts;
mod stops;
mod titles;
