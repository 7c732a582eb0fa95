//! A link as measured exchanges show it: the other direction of [`Exchange::time`].

use super::{Exchange, Link};
use std::ops::RangeInclusive;

/// How much faster than a worker a node of the store may be, in eighths of a power of two.
const RATIOS: RangeInclusive<i32> = -32..=128;

/// How often the distance to the neighbouring ratios is halved: to a millionth.
const HALVINGS: usize = 17;

/// By how much squares of errors may differ where only the rounding of numbers does.
const ROUNDING: f64 = 1e-15;

/// What one exchange was measured to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// How many workers summed.
    pub workers: u64,
    /// The bytes of their gradient.
    pub bytes: u64,
    /// The seconds that it took.
    pub seconds: f64,
}

impl Link {
    /// This link with the bytes a second, of a worker and of the store, under which the formulas come nearest to what was
    /// measured, by the squares of their relative errors. Where no sample feels the store, its bytes a second are infinite.
    /// Samples that took no longer than their waits for answers say nothing of bytes.
    #[must_use]
    pub fn fitted(self, exchange: Exchange, samples: &[Measured]) -> Self {
        let unlimited = Self { worker: f64::INFINITY, store: f64::INFINITY, ..self };
        // With the waits set aside.
        let moving = |sample: &Measured| {
            let seconds = sample.seconds - exchange.time(sample.workers, sample.bytes, unlimited);
            (seconds > 0.0 && sample.workers > 1 && sample.bytes > 0).then_some(Measured { seconds, ..*sample })
        };
        let samples: Vec<Measured> = samples.iter().filter_map(moving).collect();
        if samples.is_empty() {
            return self;
        }
        // Once the ratio of the two is given, time goes with the inverse of a worker's, and the best of it is known.
        let at = |ratio: f64| {
            let unit = Self { worker: 1.0, store: ratio, latency: 0.0, ..self };
            let share = |sample: &Measured| exchange.time(sample.workers, sample.bytes, unit) / sample.seconds;
            let shares: Vec<f64> = samples.iter().map(share).collect();
            let worker = shares.iter().map(|share| share * share).sum::<f64>() / shares.iter().sum::<f64>();
            let error = shares.iter().map(|share| (share / worker - 1.0).powi(2)).sum::<f64>();
            (error, ratio, worker)
        };
        let nearer = |best: (f64, f64, f64), ratio| {
            let next = at(ratio);
            if next.0 < best.0 - ROUNDING { next } else { best }
        };
        let ratios = RATIOS.rev().map(|eighth| (f64::from(eighth) / 8.0).exp2());
        let mut best = ratios.fold(at(f64::INFINITY), nearer);
        let mut step = (1.0_f64 / 8.0).exp2();
        for _ in 0..HALVINGS {
            step = step.sqrt();
            let ratio = best.1;
            best = [ratio * step, ratio / step].into_iter().fold(best, nearer);
        }
        let (_, ratio, worker) = best;
        Self { worker, store: ratio * worker, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { worker: 152e6, store: 1.24e9, nodes: 1, latency: 1e-3 };
    const BYTES: u64 = 100_000_000;

    /// What the formulas say.
    fn samples(exchange: Exchange, link: Link, workers: &[u64]) -> Vec<Measured> {
        let sample = |&workers| Measured { workers, bytes: BYTES, seconds: exchange.time(workers, BYTES, link) };
        workers.iter().map(sample).collect()
    }

    #[test]
    fn a_link_is_recovered_from_what_it_took() {
        let other = Link { worker: 1.0, store: 1.0, ..LINK };
        for exchange in Exchange::ALL {
            let link = other.fitted(exchange, &samples(exchange, LINK, &[2, 4, 10, 40]));
            let near = |found: f64, wanted: f64| (found / wanted - 1.0).abs() < 1e-4;
            assert!(near(link.worker, LINK.worker) && near(link.store, LINK.store), "{exchange:?}: {link:?}");
            assert_eq!((link.nodes, link.latency), (LINK.nodes, LINK.latency));
        }
    }

    #[test]
    fn a_store_that_no_sample_feels_has_no_limit() {
        let few = samples(Exchange::ScatterReduce, LINK, &[2, 4]);
        let wide = Link { nodes: u64::MAX, ..LINK };
        let many = samples(Exchange::AllToAll, wide, &[10, 100, 200]);
        for link in [LINK.fitted(Exchange::ScatterReduce, &few), wide.fitted(Exchange::AllToAll, &many)] {
            assert!((link.worker / LINK.worker - 1.0).abs() < 1e-9 && link.store.is_infinite(), "{link:?}");
        }
    }

    #[test]
    fn noise_moves_a_link_no_further_than_itself() {
        let mut noisy = samples(Exchange::ScatterReduce, LINK, &[4, 10, 20, 40]);
        noisy.iter_mut().zip([1.05, 0.95, 1.05, 0.95]).for_each(|(sample, noise)| sample.seconds *= noise);
        let link = LINK.fitted(Exchange::ScatterReduce, &noisy);
        assert!(
            [link.worker / LINK.worker, link.store / LINK.store].iter().all(|share| (share - 1.0).abs() < 0.1),
            "{link:?}"
        );
    }

    #[test]
    fn waits_alone_say_nothing() {
        let nothing = Measured { workers: 4, bytes: 100, seconds: 1e-3 };
        let alone = Measured { workers: 1, bytes: 100, seconds: 1.0 };
        assert_eq!(LINK.fitted(Exchange::ScatterReduce, &[nothing, alone]), LINK);
    }
}
