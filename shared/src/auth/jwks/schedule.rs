//! When to fetch, and how long a set serves: arithmetic of time, apart from fetching.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long a request that is done waits for a refresh at least.
const LEAST_GRACE: Duration = Duration::from_millis(250);

/// The settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// When a set is fetched again.
    pub(super) ttl: Duration,
    /// After a failed fetch, and between the look-ups of unknown keys.
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

    /// Whether a key that was withdrawn could have served for twice the time to live: then a fetch goes before the request.
    pub(super) fn is_overdue(&self, limits: &Limits, now: Timestamp) -> bool {
        elapsed(self.fetched, now).is_none_or(|age| age >= limits.ttl.saturating_mul(2))
    }

    /// How long a request that is done waits for the refresh beside it: 250 ms when the set has just become old, and ever
    /// longer until it is half as old again, then as long as a fetch may take. However slow the endpoint, the set is refreshed
    /// before a withdrawn key has lived for twice the time to live.
    pub(super) fn grace(&self, limits: &Limits, fetch: Duration, now: Timestamp) -> Duration {
        let Some(age) = elapsed(self.fetched, now) else { return fetch };
        let overtime = age.saturating_sub(limits.ttl).as_secs_f64() / (limits.ttl.as_secs_f64() / 2.0);
        // A time to live of zero makes no number of it.
        let share = if overtime.is_finite() { overtime.min(1.0) } else { 1.0 };
        LEAST_GRACE + fetch.saturating_sub(LEAST_GRACE).mul_f64(share)
    }

    /// Whether it may still serve.
    pub(super) fn is_usable(&self, limits: &Limits, now: Timestamp) -> bool {
        elapsed(self.fetched, now).is_none_or(|age| age < limits.stale)
    }
}

/// When the next fetch may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    failed: Option<Pause>,
    unknown: Bucket,
}

/// The pause after a fetch that failed.
#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Timestamp,
    cooldown: Duration,
    asked: Duration,
}

impl Schedule {
    /// A fetch succeeded: another waits for nothing but its occasion.
    pub(super) fn succeeded(&mut self) {
        self.failed = None;
    }

    /// A fetch failed. What the endpoint asks for counts up to the time to live: so often it is asked in good days, and a
    /// slip of its clock must not lock everyone out.
    pub(super) fn failed(&mut self, limits: &Limits, asked: Option<Duration>, now: Timestamp) {
        let asked = asked.unwrap_or_default().min(limits.ttl);
        self.failed = Some(Pause { since: now, cooldown: limits.cooldown, asked });
    }

    /// Waives our own cooldown; what the endpoint asked for still counts.
    pub(super) fn waive(&mut self) {
        if let Some(pause) = &mut self.failed {
            pause.cooldown = Duration::ZERO;
        }
    }

    /// How much of the pause is left. A clock that stepped back ends it.
    ///
    /// `has_set`: whether a set serves meanwhile. Without one nobody is let in, so that the endpoint's wish counts no longer
    /// than our own cooldown: `Retry-After` says "how long the user agent ought to wait" (RFC 9110, section 10.2.3), and one
    /// answer of a proxy that restarts must not keep all users out for minutes.
    pub(super) fn remaining(&self, limits: &Limits, has_set: bool, now: Timestamp) -> Duration {
        let left = |pause: &Pause| {
            let passed = elapsed(pause.since, now)?;
            let asked = if has_set { pause.asked } else { pause.asked.min(limits.cooldown) };
            Some(pause.cooldown.max(asked).saturating_sub(passed))
        };
        self.failed.as_ref().and_then(left).unwrap_or_default()
    }

    /// Whether a fetch for a `kid` that the set doesn't have may begin; if so, it is counted.
    pub(super) fn admits_unknown(&mut self, limits: &Limits, now: Timestamp) -> bool {
        self.unknown.take(limits.cooldown, now)
    }
}

/// A token bucket: as many look-ups of unknown keys at once, then one a cooldown. Which of them are made up isn't known
/// before, and a rotated key's token shouldn't have to wait because somebody made one up a moment ago.
///
/// It is kept as the time at which it will be full (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full: Option<Timestamp>,
}

/// How many look-ups the bucket holds.
const UNKNOWN_AT_ONCE: i32 = 3;

impl Bucket {
    fn take(&mut self, cooldown: Duration, now: Timestamp) -> bool {
        let step = SignedDuration::try_from(cooldown).unwrap_or(SignedDuration::MAX);
        let capacity = step.saturating_mul(UNKNOWN_AT_ONCE);
        // Later than that it can't be, unless the clock stepped back; then it begins anew.
        let full = self.full.filter(|full| *full > now && full.duration_since(now) <= capacity).unwrap_or(now);
        let next = full.checked_add(step).unwrap_or(Timestamp::MAX);
        let admits = next.duration_since(now) <= capacity;
        if admits {
            self.full = Some(next);
        }
        admits
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
    fn a_request_waits_longer_the_older_the_set() {
        let held = Held { set: (), fetched: at(0) };
        let fetch = Duration::from_secs(5);
        for (second, millis) in [(0, 250), (600, 250), (660, 1200), (750, 2625), (900, 5000), (3599, 5000), (-1, 5000)]
        {
            assert_eq!(held.grace(&LIMITS, fetch, at(second)), Duration::from_millis(millis), "{second}");
        }
        assert!(
            !held.is_overdue(&LIMITS, at(1199))
                && held.is_overdue(&LIMITS, at(1200))
                && held.is_overdue(&LIMITS, at(-1))
        );
    }

    #[test]
    fn a_clock_that_steps_back_leads_to_a_fetch_and_locks_nobody_out() {
        let held = Held { set: (), fetched: at(0) };
        assert!(held.is_old(&LIMITS, at(-1)) && held.is_usable(&LIMITS, at(-1)));
        assert!(held.is_old(&LIMITS, Timestamp::MIN) && held.is_usable(&LIMITS, Timestamp::MIN));
        assert!(!held.is_usable(&LIMITS, Timestamp::MAX));
        let mut schedule = Schedule::default();
        schedule.failed(&LIMITS, None, at(0));
        let cooling = |now| !schedule.remaining(&LIMITS, true, now).is_zero();
        assert!(cooling(at(0)) && !cooling(at(-1)) && !cooling(Timestamp::MIN));
        let mut schedule = Schedule::default();
        for now in [at(0), Timestamp::MIN, Timestamp::MAX, at(0)] {
            assert!(schedule.admits_unknown(&LIMITS, now), "{now}");
        }
    }

    #[test]
    fn a_pause_follows_each_failure() {
        let mut schedule = Schedule::default();
        assert!(schedule.remaining(&LIMITS, true, at(0)).is_zero(), "the first fetch waits for nothing");
        for (asked, with_a_set, without) in
            [(None, 30, 30), (Some(10), 30, 30), (Some(90), 90, 30), (Some(86_400), 600, 30)]
        {
            schedule.failed(&LIMITS, asked.map(Duration::from_secs), at(0));
            for (has_set, pause) in [(true, with_a_set), (false, without)] {
                assert_eq!(schedule.remaining(&LIMITS, has_set, at(0)), Duration::from_secs(pause), "{asked:?}");
                assert!(schedule.remaining(&LIMITS, has_set, at(i64::try_from(pause).unwrap())).is_zero(), "{asked:?}");
            }
        }
        schedule.succeeded();
        assert!(schedule.remaining(&LIMITS, true, at(0)).is_zero());
    }

    #[test]
    fn our_own_cooldown_can_be_waived_and_the_endpoints_cannot() {
        let mut schedule = Schedule::default();
        schedule.failed(&LIMITS, None, at(0));
        schedule.waive();
        assert!(schedule.remaining(&LIMITS, true, at(0)).is_zero());
        schedule.failed(&LIMITS, Some(Duration::from_secs(10)), at(0));
        schedule.waive();
        assert_eq!(schedule.remaining(&LIMITS, false, at(9)), Duration::from_secs(1));
    }

    #[test]
    fn three_unknown_keys_at_once_then_one_a_cooldown() {
        let mut schedule = Schedule::default();
        let mut admitted = |second| schedule.admits_unknown(&LIMITS, at(second));
        assert_eq!([0, 0, 0, 0, 29].map(&mut admitted), [true, true, true, false, false]);
        assert_eq!([30, 30, 59, 60, 60].map(&mut admitted), [true, false, false, true, false]);
        // Ninety seconds of quiet fill it, and longer ones no further.
        assert_eq!([3600, 3600, 3600, 3600].map(&mut admitted), [true, true, true, false]);
    }
}
