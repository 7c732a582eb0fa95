use super::Spread;
use crate::{
    units::{Duration, Size},
    wire::Link,
};
use serde::{Deserialize, Serialize};

/// Where workers run, and how quick things are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// What it is called.
    pub name: String,
    /// The day on which the figures were measured.
    pub as_of: String,
    /// Operations a second of one processor that trains.
    pub operations: f64,
    /// Numbers a second that one processor moves to and from memory, as an optimizer does.
    pub numbers: f64,
    /// Seconds that a step of a training takes at least, whatever its size.
    pub call: f64,
    /// The memory that brings one processor; where processors are had apart from memory, there is none.
    pub memory_per_cpu: Option<Size>,
    /// The least memory of a worker.
    pub least_memory: Size,
    /// The most memory of a worker, where it is not that of the machine.
    pub most_memory: Option<Size>,
    /// What a worker holds before it has read anything.
    pub base_memory: Size,
    /// Seconds until a new worker works.
    pub start: Spread,
    /// Workers that are done and wait for other work, where they do.
    pub warm: Option<Warm>,
    /// Seconds until the first byte of an object.
    pub object: Spread,
    /// Bytes a second of objects, of one worker.
    pub object_bytes: f64,
    /// What lies between workers and their parameter store.
    pub link: Link,
    /// How unlike workers are that do the same: the deviation of the logarithm of their times.
    pub straggling: f64,
    /// Seconds until a round with other workers is under way.
    pub change: f64,
    /// Workers lost, in an hour of one.
    pub loss: f64,
    /// How long a worker may work in one call.
    pub call_limit: Option<Duration>,
    /// New workers of one size of memory that can be had at once, and every ten seconds.
    pub burst: u32,
    /// Objects that can be asked for in a second.
    pub gets: u32,
}

/// Workers that are done and wait for other work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    /// Seconds until one works again.
    pub start: Spread,
    /// How long it waits.
    pub kept: Duration,
}

impl Platform {
    /// AWS Lambda with a Redis of five nodes in the same region. Starts, transfers and limits as measured by the sources that
    /// `docs/src/plan.md` names.
    pub fn lambda() -> Self {
        serde_json::from_str(include_str!("lambda.json")).expect("a test reads the embedded figures")
    }

    /// This machine, as far as nothing of it was measured: a worker process on processors of a usual kind.
    pub fn here() -> Self {
        Self {
            name: "this machine".into(),
            as_of: "2026-11-29".into(),
            operations: 6e10,
            numbers: 6e8,
            call: 3e-5,
            memory_per_cpu: None,
            least_memory: Size::from_mib(1),
            most_memory: None,
            base_memory: Size::from_mib(32),
            start: Spread::new(0.02, 0.2),
            warm: None,
            object: Spread::new(0.0005, 0.5),
            object_bytes: 1e9,
            link: Link::LOCAL,
            straggling: 0.05,
            change: 0.1,
            loss: 0.0,
            call_limit: None,
            burst: u32::MAX,
            gets: u32::MAX,
        }
    }

    /// The processors of a worker with so much memory, where it was promised `own` apart from that.
    pub fn cpus(&self, memory: Size, own: f64) -> f64 {
        self.memory_per_cpu.map_or(own, |one| memory.bytes() as f64 / one.bytes().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_a_processor_for_1769_mib() {
        let lambda = Platform::lambda();
        assert!((lambda.cpus(Size::from_mib(1769), 9.0) - 1.0).abs() < 1e-9);
        assert_eq!(Platform::here().cpus(Size::from_mib(1769), 2.0), 2.0);
    }
}
