//! Times that a client names, as bounds in a statement.
//!
//! PostgreSQL counts whole microseconds and begins in 4713 BC; a client may name finer times, and earlier ones. Nothing
//! was stored before 1970, so what lies before means the same as its first moment.

use jiff::Timestamp;

/// `stored > after(time)` holds where `stored > time` does.
pub(super) fn after(time: Timestamp) -> Timestamp {
    let floor = time.as_nanosecond().div_euclid(1000);
    at_microsecond(floor)
}

/// `stored < before(time)` holds where `stored < time` does.
pub(super) fn before(time: Timestamp) -> Timestamp {
    let ceiling = -(-time.as_nanosecond()).div_euclid(1000);
    at_microsecond(ceiling)
}

fn at_microsecond(micros: i128) -> Timestamp {
    let micros = i64::try_from(micros.max(0)).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i128) -> Timestamp {
        Timestamp::from_nanosecond(nanos).unwrap()
    }

    #[test]
    fn bounds_keep_their_meaning_in_whole_microseconds() {
        assert_eq!(after(at(5_999)), at(5_000));
        assert_eq!(before(at(5_001)), at(6_000));
        for whole in [0, 5_000] {
            assert_eq!((after(at(whole)), before(at(whole))), (at(whole), at(whole)));
        }
    }

    #[test]
    fn what_postgresql_cannot_hold_is_its_nearest_time() {
        assert_eq!(after(Timestamp::MIN), Timestamp::UNIX_EPOCH);
        assert_eq!(before(Timestamp::MIN), Timestamp::UNIX_EPOCH);
        assert!(before(Timestamp::MAX) >= after(Timestamp::MAX));
    }
}
