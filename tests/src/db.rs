//! `shared::db` against real servers: each kind of database that the functions may meet.

mod branches;
mod conversations;
mod encryption;
mod failures;
mod idempotency;
mod lists;
mod load;
mod migrations;
mod ordering;
mod outages;
mod round_trips;
mod schema;
mod sizes;
mod versions;
mod walls;
