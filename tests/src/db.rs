//! `shared::db` against real servers: each kind of database that the functions may meet.

mod branches;
mod continued;
mod conversations;
mod copies;
mod encryption;
mod failures;
mod histories;
mod idempotency;
mod lists;
mod load;
mod migrations;
mod ordering;
mod outages;
mod parts;
mod quotas;
mod round_trips;
mod runs;
mod schema;
mod sizes;
mod sweep;
mod turn_branches;
mod turn_places;
mod turns;
mod versions;
mod walls;
