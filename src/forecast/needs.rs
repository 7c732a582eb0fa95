use super::{Platform, Task};
use crate::units::Size;
use std::fmt;

/// The memory that a worker of a training needs, in bytes, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// The program.
    pub base: f64,
    /// The samples, which each worker keeps.
    pub samples: f64,
    /// The weights, the best weights so far, and the sum of gradients.
    pub weights: f64,
    /// What the optimizer keeps.
    pub optimizer: f64,
    /// What comes out of the layers for one shard of a batch, and its gradient.
    pub activations: f64,
}

impl Needs {
    /// Those of one of so many workers of a training.
    pub fn of(task: &Task, workers: u32, platform: &Platform) -> Self {
        let largest = task.batch.values().max().unwrap_or(1) as f64;
        Self {
            base: platform.base_memory.bytes() as f64,
            samples: (task.samples + task.judged) * task.sample_bytes / f64::from(workers.max(1)),
            weights: 3.0 * 4.0 * task.work.parameters,
            optimizer: 4.0 * task.moments * task.work.parameters,
            activations: 2.0 * 4.0 * task.work.activations * (largest / task.shards.max(1) as f64),
        }
    }

    /// All of it.
    pub fn total(&self) -> Size {
        Size::from_bytes(self.terms().map(|(_, bytes)| bytes).iter().sum::<f64>() as u64)
    }

    /// The terms with their names.
    fn terms(&self) -> [(&'static str, f64); 5] {
        [
            ("the program", self.base),
            ("the samples", self.samples),
            ("the weights", self.weights),
            ("the optimizer", self.optimizer),
            ("the activations", self.activations),
        ]
    }
}

/// The terms, those that need most first.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms = self.terms();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1));
        let terms = terms.iter().filter(|(_, bytes)| *bytes >= 1024.0 * 1024.0);
        let terms: Vec<String> =
            terms.map(|(name, bytes)| format!("{name} {:.0} MiB", bytes / 1024.0 / 1024.0)).collect();
        f.write_str(&terms.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::Work,
        wire::{Averaging, Staged},
    };

    #[test]
    fn needs_are_told_by_what_they_are_for() {
        let mib = f64::from(1 << 20);
        let task = Task {
            work: Work { operations: 1.0, parameters: 25.0 * mib, activations: 8.0 * mib },
            samples: 75.0,
            judged: 25.0,
            sample_bytes: mib,
            batch: Staged::fixed(4),
            shards: 2,
            epochs: 1.0,
            averaging: Averaging::EXACT,
            moments: 2.0,
        };
        let needs = Needs::of(&task, 2, &Platform::lambda());
        assert_eq!(needs.total(), Size::from_mib(64 + 50 + 300 + 200 + 128));
        let told = "the weights 300 MiB, the optimizer 200 MiB, the activations 128 MiB, the program 64 MiB, the samples 50 MiB";
        assert_eq!(needs.to_string(), told);
    }
}
