//! Times that a client names, as bounds in a statement.
//!
//! They are compared to the millisecond. What is stored has microseconds, and the time of JavaScript's `Date` "is a finite
//! integral Number representing an instant in time to millisecond precision"
//! (<https://tc39.es/ecma262/#sec-time-values-and-time-range>): compared to the microsecond, who asks for what came after the last
//! row that they know would be given that row again, for ever.
//!
//! PostgreSQL begins in 4713 BC, and a client may name earlier times. Nothing was stored before 1970, so what lies before means
//! the same as its first moment.

use jiff::Timestamp;

/// `stored > after(time)` holds where the millisecond of `stored` is a later one than that of `time`.
pub(super) fn after(time: Timestamp) -> Timestamp {
    at_microsecond(millisecond(time).saturating_mul(1000).saturating_add(999))
}

/// `stored < before(time)` holds where the millisecond of `stored` is an earlier one than that of `time`.
pub(super) fn before(time: Timestamp) -> Timestamp {
    at_microsecond(millisecond(time).saturating_mul(1000))
}

fn millisecond(time: Timestamp) -> i64 {
    time.as_millisecond().max(0)
}

fn at_microsecond(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_compared_to_the_millisecond() {
        let at = |micros| Timestamp::from_microsecond(micros).unwrap();
        for named in [5_000, 5_001, 5_999] {
            assert_eq!((after(at(named)), before(at(named))), (at(5_999), at(5_000)), "{named}");
        }
        assert_eq!(after(Timestamp::from_nanosecond(5_999_999).unwrap()), at(5_999));
    }

    #[test]
    fn what_postgresql_cannot_hold_is_its_nearest_time() {
        assert!(after(Timestamp::MIN) < Timestamp::from_second(1).unwrap());
        assert_eq!(before(Timestamp::MIN), Timestamp::UNIX_EPOCH);
        assert!(before(Timestamp::MAX) <= after(Timestamp::MAX) && after(Timestamp::MAX) <= Timestamp::MAX);
    }
}
