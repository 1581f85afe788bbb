//! When to fetch, and how long a set serves: arithmetic of time, apart from fetching.

use std::time::Duration;

use jiff::Timestamp;

/// The settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// When a set is fetched again.
    pub(super) ttl: Duration,
    /// Between two fetches at least.
    pub(super) cooldown: Duration,
    /// How long a set serves while no new one can be had.
    pub(super) stale: Duration,
}

/// The time from `earlier` to `now`; `None` where the clock stepped back between them.
fn elapsed(earlier: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(earlier)).ok()
}

/// A set and the time of its fetch.
#[derive(Clone, Debug)]
pub(super) struct Held<T> {
    pub(super) set: T,
    pub(super) fetched: Timestamp,
}

impl<T> Held<T> {
    /// Whether it is time for another. A clock that stepped back leaves the set's age unknown, so that it is: the next
    /// fetch puts things right.
    pub(super) fn is_old(&self, limits: &Limits, now: Timestamp) -> bool {
        elapsed(self.fetched, now).is_none_or(|age| age >= limits.ttl)
    }

    /// Whether it may still serve.
    pub(super) fn is_usable(&self, limits: &Limits, now: Timestamp) -> bool {
        elapsed(self.fetched, now).is_none_or(|age| age < limits.stale)
    }
}

/// The pause after the last fetch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    last: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Timestamp,
    cooldown: Duration,
    asked: Duration,
}

impl Schedule {
    /// A fetch ended, well or not. What the endpoint asks for counts up to the time to live: so often it is asked in good
    /// days, and a slip of its clock must not lock everyone out.
    pub(super) fn ended(&mut self, limits: &Limits, asked: Option<Duration>, now: Timestamp) {
        let asked = asked.unwrap_or_default().min(limits.ttl);
        self.last = Some(Pause { since: now, cooldown: limits.cooldown, asked });
    }

    /// Waives our own cooldown; what the endpoint asked for still counts.
    pub(super) fn waive(&mut self) {
        if let Some(pause) = &mut self.last {
            pause.cooldown = Duration::ZERO;
        }
    }

    /// How much of the pause is left. A clock that stepped back ends it.
    pub(super) fn remaining(&self, now: Timestamp) -> Duration {
        let left = |pause: &Pause| {
            let passed = elapsed(pause.since, now)?;
            Some(pause.cooldown.max(pause.asked).saturating_sub(passed))
        };
        self.last.as_ref().and_then(left).unwrap_or_default()
    }

    /// Whether the next fetch has to wait.
    pub(super) fn is_cooling(&self, now: Timestamp) -> bool {
        !self.remaining(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { ttl: Duration::from_mins(10), cooldown: Duration::from_secs(30), stale: Duration::from_hours(1) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_000 + second).unwrap()
    }

    #[test]
    fn a_set_is_fresh_then_old_then_stale() {
        let held = Held { set: (), fetched: at(0) };
        for (second, old, usable) in
            [(0, false, true), (599, false, true), (600, true, true), (3599, true, true), (3600, true, false)]
        {
            assert_eq!(
                (held.is_old(&LIMITS, at(second)), held.is_usable(&LIMITS, at(second))),
                (old, usable),
                "{second}"
            );
        }
    }

    #[test]
    fn a_clock_that_steps_back_leads_to_a_fetch_and_locks_nobody_out() {
        let held = Held { set: (), fetched: at(0) };
        assert!(held.is_old(&LIMITS, at(-1)) && held.is_usable(&LIMITS, at(-1)));
        assert!(held.is_old(&LIMITS, Timestamp::MIN) && held.is_usable(&LIMITS, Timestamp::MIN));
        assert!(!held.is_usable(&LIMITS, Timestamp::MAX));
        let mut schedule = Schedule::default();
        schedule.ended(&LIMITS, None, at(0));
        assert!(schedule.is_cooling(at(0)) && !schedule.is_cooling(at(-1)) && !schedule.is_cooling(Timestamp::MIN));
    }

    #[test]
    fn a_pause_follows_each_fetch() {
        let mut schedule = Schedule::default();
        assert!(!schedule.is_cooling(at(0)), "the first fetch waits for nothing");
        for (asked, pause) in [(None, 30), (Some(10), 30), (Some(90), 90), (Some(86_400), 600)] {
            schedule.ended(&LIMITS, asked.map(Duration::from_secs), at(0));
            assert_eq!(schedule.remaining(at(0)), Duration::from_secs(pause));
            assert!(schedule.is_cooling(at(i64::try_from(pause).unwrap() - 1)), "{asked:?}");
            assert!(!schedule.is_cooling(at(i64::try_from(pause).unwrap())), "{asked:?}");
        }
    }

    #[test]
    fn our_own_cooldown_can_be_waived_and_the_endpoints_cannot() {
        let mut schedule = Schedule::default();
        schedule.ended(&LIMITS, None, at(0));
        schedule.waive();
        assert!(!schedule.is_cooling(at(0)));
        schedule.ended(&LIMITS, Some(Duration::from_secs(10)), at(0));
        schedule.waive();
        assert!(schedule.is_cooling(at(9)) && !schedule.is_cooling(at(10)));
    }
}
