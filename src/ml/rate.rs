//! Learning-rate schedules.

use crate::value::{Call, Value};

/// What the learning rate is multiplied with as a training goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// `factor` to the power of the whole `every` epochs passed.
    StepDecay {
        /// Epochs.
        every: f64,
        /// The factor.
        factor: f64,
    },
    /// Linear from 0 over `warmup` epochs, then `(1 + cos(π t)) / 2` for t from 0 to 1 (Loshchilov and Hutter, 2017, eq. 5).
    Cosine {
        /// Epochs.
        warmup: f64,
    },
    /// Linear from 0 over `epochs`, then 1.
    LinearWarmup {
        /// Epochs.
        epochs: f64,
    },
}

impl Schedule {
    /// The schedule that a call of `std/optim` stands for.
    pub fn parse(call: Option<&Call>) -> Self {
        let number =
            |name: &str| call.and_then(|call| call.args.get(name)).and_then(Value::as_f64).unwrap_or(0.0).max(0.0);
        match call.map(|call| &*call.name) {
            Some("step_decay") => Self::StepDecay { every: number("every").max(1.0), factor: number("factor") },
            Some("cosine") => Self::Cosine { warmup: number("warmup") },
            Some("linear_warmup") => Self::LinearWarmup { epochs: number("epochs") },
            _ => Self::Constant,
        }
    }

    /// The factor for the step that begins when `passed` of `all` epochs have passed.
    pub fn factor(self, passed: f64, step: f64, all: f64) -> f64 {
        let ramp = |length: f64| ((passed + step) / length).min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::StepDecay { every, factor } => factor.powf((passed / every).floor()),
            Self::LinearWarmup { epochs } if epochs > 0.0 => ramp(epochs),
            Self::LinearWarmup { .. } => 1.0,
            Self::Cosine { warmup } if passed < warmup => ramp(warmup),
            Self::Cosine { warmup } => {
                let way = ((passed - warmup) / (all - warmup).max(step)).clamp(0.0, 1.0);
                (1.0 + (std::f64::consts::PI * way).cos()) / 2.0
            }
        }
    }
}
