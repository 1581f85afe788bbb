//! `shared::db` against real servers: each kind of database that the functions may meet.

mod idempotency;
