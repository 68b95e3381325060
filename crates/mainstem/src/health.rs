//! Which streams failed lately, and for how long they are left alone. Pure: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use catalog::StreamId;
use relay::{Failure, FailureClass};

/// Streams remembered at most; the longest forgotten go first.
const REMEMBERED_MAX: usize = 10_000;

/// Half of a stream's failures are forgotten in this time.
const FADES_IN: Duration = Duration::from_secs(10 * 60);

/// What is remembered of a stream.
#[derive(Debug, Clone)]
struct Record {
    /// Failures in a row, as of `changed`.
    failures: u32,
    /// Whether the last failure looked as if it would last: gone, blocked, unusable.
    lasting: bool,
    rests_until: Instant,
    changed: Instant,
    failed_at: Instant,
    failure: Failure,
}

impl Record {
    /// Failures that still count: memory fades.
    fn failures(&self, now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(self.changed).as_secs() / FADES_IN.as_secs();
        self.failures
            .checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX))
            .unwrap_or(0)
    }
}

/// How a stream failed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// What happened.
    pub failure: Failure,
    /// How long ago.
    pub ago: Duration,
    /// How long the stream is left alone yet; zero when it is not.
    pub rests_for: Duration,
}

/// The memory of failures. A failure rests a stream for a time that doubles; delivering ends the rest, and delivering
/// for long forgets the failures.
#[derive(Debug)]
pub struct Health {
    rest_min: Duration,
    rest_max: Duration,
    records: HashMap<StreamId, Record>,
}

impl Health {
    /// Nothing is known. A first failure rests a stream for `rest_min`, many for no more than `rest_max`.
    #[must_use]
    pub fn new(rest_min: Duration, rest_max: Duration) -> Self {
        Self {
            rest_min,
            rest_max,
            records: HashMap::new(),
        }
    }

    /// The stream failed. What looks as if it would last rests it even where there is no other.
    pub fn failed(&mut self, stream: StreamId, failure: &Failure, now: Instant) {
        self.bound();
        let record = self.records.entry(stream).or_insert_with(|| Record {
            failures: 0,
            lasting: false,
            rests_until: now,
            changed: now,
            failed_at: now,
            failure: failure.clone(),
        });
        let failures = record.failures(now);
        let rest = self
            .rest_min
            .saturating_mul(1 << failures.min(16))
            .min(self.rest_max);
        record.failures = failures.saturating_add(1);
        record.lasting = failure.class != FailureClass::Transient || failure.retry_after.is_some();
        record.rests_until = now + rest.max(failure.retry_after.unwrap_or_default());
        record.changed = now;
        record.failed_at = now;
        record.failure = failure.clone();
    }

    /// How a stream failed last; `None` where nothing is known against it.
    #[must_use]
    pub fn last_failure(&self, stream: StreamId, now: Instant) -> Option<LastFailure> {
        let record = self.records.get(&stream)?;
        Some(LastFailure {
            failure: record.failure.clone(),
            ago: now.saturating_duration_since(record.failed_at),
            rests_for: record.rests_until.saturating_duration_since(now),
        })
    }

    /// The stream delivers again.
    pub fn delivers(&mut self, stream: StreamId, now: Instant) {
        if let Some(record) = self.records.get_mut(&stream) {
            record.rests_until = now;
            record.changed = now;
        }
    }

    /// The stream delivered for long enough to be trusted.
    pub fn trusted(&mut self, stream: StreamId, now: Instant) {
        if let Some(record) = self.records.get_mut(&stream) {
            record.failures = 0;
            record.lasting = false;
            record.rests_until = now;
        }
    }

    /// Whether the stream is to be left alone while there are others.
    #[must_use]
    pub fn rests(&self, stream: StreamId, now: Instant) -> bool {
        self.records
            .get(&stream)
            .is_some_and(|record| record.rests_until > now)
    }

    /// Whether the stream is to be left alone even where there is no other: asking again would only annoy.
    #[must_use]
    pub fn refuses(&self, stream: StreamId, now: Instant) -> bool {
        self.records
            .get(&stream)
            .is_some_and(|record| record.lasting && record.rests_until > now)
    }

    /// From 100 (nothing against it) down to 0.
    #[must_use]
    pub fn score(&self, stream: StreamId, now: Instant) -> u32 {
        self.records.get(&stream).map_or(100, |record| {
            100u32.saturating_sub(record.failures(now).saturating_mul(20))
        })
    }

    fn bound(&mut self) {
        if self.records.len() < REMEMBERED_MAX {
            return;
        }
        let mut times: Vec<Instant> = self.records.values().map(|record| record.changed).collect();
        let middle = times.len() / 2;
        let (_, &mut median, _) = times.select_nth_unstable(middle);
        self.records.retain(|_, record| record.changed > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::StreamUrl;
    use catalog::listing::{Extra, Fields, Kind, Listing, SourceName};

    const MIN: Duration = Duration::from_secs(30);
    const MAX: Duration = Duration::from_secs(600);

    fn transient(retry_after: Option<Duration>) -> Failure {
        Failure {
            retry_after,
            ..Failure::new(FailureClass::Transient, "reset")
        }
    }

    fn stream(key: u32) -> StreamId {
        let name = SourceName::new("s");
        let mut listing = Listing::new(name.clone());
        listing.push(Fields {
            tvg_name: None,
            title: "t",
            group: None,
            logo: None,
            tvg_id: None,
            kind: Kind::Live,
            url: StreamUrl::new(format!("http://h.example/{key}.ts")),
            direct: None,
            stream_key: &key.to_string(),
            tvg_chno: None,
            extra: Extra::default(),
        });
        StreamId::of_entry(&name, listing.entries.first().unwrap())
    }

    #[test]
    fn rest_doubles_to_its_bound_and_delivering_ends_it() {
        let (mut health, start, id) = (Health::new(MIN, MAX), Instant::now(), stream(1));
        assert!(!health.rests(id, start));
        for (failures, rest) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 600), (7, 600)] {
            health.failed(id, &transient(None), start);
            let rest = Duration::from_secs(rest);
            assert!(
                health.rests(id, start + rest - Duration::from_secs(1)),
                "failure {failures}"
            );
            assert!(!health.rests(id, start + rest), "failure {failures}");
        }
        health.delivers(id, start);
        assert!(!health.rests(id, start));
        assert!(health.score(id, start) < 100);
        health.trusted(id, start);
        assert_eq!(health.score(id, start), 100);
    }

    #[test]
    fn a_providers_wish_is_kept_when_it_is_longer() {
        let (mut health, start, id) = (Health::new(MIN, MAX), Instant::now(), stream(1));
        health.failed(id, &transient(Some(Duration::from_secs(120))), start);
        assert!(health.rests(id, start + Duration::from_secs(119)));
    }

    #[test]
    fn only_what_looks_lasting_is_refused_outright() {
        let (mut health, start) = (Health::new(MIN, MAX), Instant::now());
        let gone = Failure::new(FailureClass::Gone, "no such stream");
        health.failed(stream(1), &gone, start);
        health.failed(stream(2), &transient(None), start);
        assert!(health.refuses(stream(1), start) && !health.refuses(stream(2), start));
        assert!(health.rests(stream(2), start));
        assert!(!health.refuses(stream(1), start + MIN));
        health.failed(stream(1), &transient(None), start);
        assert!(!health.refuses(stream(1), start), "it has changed its mind");
    }

    #[test]
    fn memory_is_bounded() {
        let (mut health, start) = (Health::new(MIN, MAX), Instant::now());
        for key in 0..20_000u32 {
            health.failed(
                stream(key),
                &transient(None),
                start + Duration::from_millis(key.into()),
            );
        }
        assert!(health.records.len() <= REMEMBERED_MAX);
        assert!(health.rests(stream(19_999), start + Duration::from_secs(20)));
    }

    #[test]
    fn memory_fades() {
        let (mut health, start, id) = (Health::new(MIN, MAX), Instant::now(), stream(1));
        for _ in 0..4 {
            health.failed(id, &transient(None), start);
        }
        let scores: Vec<u32> = (0..4)
            .map(|times| health.score(id, start + FADES_IN * times))
            .collect();
        assert_eq!(scores, [20, 60, 80, 100]);
        let later = start + FADES_IN * 3;
        health.failed(id, &transient(None), later);
        assert!(!health.rests(id, later + MIN), "as if for the first time");
    }

    #[test]
    fn the_last_failure_can_be_told() {
        let (mut health, start, id) = (Health::new(MIN, MAX), Instant::now(), stream(1));
        assert_eq!(health.last_failure(id, start), None);
        health.failed(id, &transient(None), start);
        let ago = Duration::from_secs(10);
        let told = health.last_failure(id, start + ago);
        let expected = LastFailure {
            failure: transient(None),
            ago,
            rests_for: MIN - ago,
        };
        assert_eq!(told, Some(expected));
    }
}
