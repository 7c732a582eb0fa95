//! Which failures a state tries again, and which a `catch` catches.

use super::{
    emitter::{Emitter, Place},
    limits::LIMITS,
    machine::Retrier,
};
use crate::{
    limits::Retry,
    wire::{CLOUD_ERRORS, Kind},
};

/// The names under which failures of a kind are known in the cloud.
pub(super) fn errors(kind: Kind) -> impl Iterator<Item = &'static str> {
    let cloud = CLOUD_ERRORS.iter().filter(move |(_, of)| *of == kind).map(|(name, _)| *name);
    std::iter::once(kind.name()).chain(cloud)
}

impl Emitter<'_> {
    /// When a step's call is tried again.
    pub fn retries(&self, place: &Place) -> Vec<Retrier> {
        retries(place.limits.retry.as_ref(), self.fences.is_some())
    }
}

/// When a call is tried again: a worker that is lost, or that can't begin, is nothing that the step did; and what the
/// workflow asks for, but for limits that are reached.
pub(super) fn retries(asked: Option<&Retry>, limited: bool) -> Vec<Retrier> {
    let lost = Retrier {
        error_equals: errors(Kind::WorkerLost).collect(),
        interval_seconds: 1,
        max_attempts: 2,
        backoff_rate: 2.0,
        jitter_strategy: Some("FULL"),
    };
    let asked = asked.filter(|retry| retry.max > 0).map(|retry| Retrier {
        error_equals: match retry.on.is_empty() {
            true => vec!["States.ALL"],
            false => retry.on.iter().flat_map(|kind| errors(*kind)).collect(),
        },
        interval_seconds: (retry.backoff.secs_f64().ceil() as u64).max(1),
        max_attempts: retry.max,
        backoff_rate: retry.factor.max(1.0),
        jitter_strategy: retry.jitter.then_some("FULL"),
    });
    let never = asked.as_ref().filter(|_| limited).map(|_| Retrier {
        error_equals: LIMITS.map(Kind::name).to_vec(),
        max_attempts: 0,
        ..busy()
    });
    [lost, busy()].into_iter().chain(never).chain(asked).collect()
}

/// A call that can't begin yet.
pub(super) fn busy() -> Retrier {
    Retrier {
        error_equals: vec!["Lambda.TooManyRequestsException"],
        interval_seconds: 1,
        max_attempts: 8,
        backoff_rate: 2.0,
        jitter_strategy: Some("FULL"),
    }
}
