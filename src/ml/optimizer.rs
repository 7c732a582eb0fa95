//! How parameters follow their gradients. Everything is plain arithmetic on rows of numbers, in one order.

use super::{MlError, unusable};
use crate::value::{Call, Value};

/// An optimizer with its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    /// The learning rate, before any schedule.
    pub lr: f64,
    weight_decay: f64,
    /// Rows of numbers as long as the parameters: velocities, or first and second moments.
    pub memory: Vec<Vec<f32>>,
    /// Steps taken.
    pub steps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Sgd { momentum: f64, nesterov: bool },
    Adam { beta1: f64, beta2: f64, eps: f64, decoupled: bool },
}

impl Optimizer {
    /// The optimizer that a call of `std/optim` stands for, for `size` parameters.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub fn parse(call: &Call, size: usize) -> Result<Self, MlError> {
        let number = |name: &str, low: f64, high: f64| {
            let value = call.args.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
            if (low..=high).contains(&value) {
                return Ok(value);
            }
            Err(unusable(
                format!("`{}`: `{name}` must be from {low} to {high}, not {value}", call.name),
                "see `std/optim` for what is usual",
            ))
        };
        let almost_one = 1.0 - 1e-12;
        let rule = match &*call.name {
            "sgd" => Rule::Sgd {
                momentum: number("momentum", 0.0, almost_one)?,
                nesterov: call.args.get("nesterov") == Some(&Value::Bool(true)),
            },
            _ => Rule::Adam {
                beta1: number("beta1", 0.0, almost_one)?,
                beta2: number("beta2", 0.0, almost_one)?,
                eps: number("eps", 0.0, 1.0)?,
                decoupled: &*call.name == "adamw",
            },
        };
        let rows = match rule {
            Rule::Sgd { momentum: 0.0, .. } => 0,
            Rule::Sgd { .. } => 1,
            Rule::Adam { .. } => 2,
        };
        Ok(Self {
            rule,
            lr: number("lr", 0.0, 1e6)?,
            weight_decay: number("weight_decay", 0.0, 1e6)?,
            memory: vec![vec![0.0; size]; rows],
            steps: 0,
        })
    }

    /// Moves `parameters` along `gradient`, with the learning rate times `factor`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], factor: f64) {
        self.steps += 1;
        let lr = (self.lr * factor) as f32;
        let decay = self.weight_decay as f32;
        match (self.rule, self.memory.as_mut_slice()) {
            // Sutskever et al. (2013), in the form with the gradient undamped.
            (Rule::Sgd { momentum, nesterov }, [velocities]) => {
                let momentum = momentum as f32;
                for ((value, gradient), velocity) in parameters.iter_mut().zip(gradient).zip(velocities) {
                    let gradient = gradient + decay * *value;
                    *velocity = momentum * *velocity + gradient;
                    *value -= lr * if nesterov { gradient + momentum * *velocity } else { *velocity };
                }
            }
            // Kingma and Ba (2015), Algorithm 1; decoupled decay after Loshchilov and Hutter (2019), Algorithm 2.
            (Rule::Adam { beta1, beta2, eps, decoupled }, [first, second]) => {
                let count = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let correct1 = (1.0 - beta1.powi(count)) as f32;
                let correct2 = (1.0 - beta2.powi(count)) as f32;
                let (beta1, beta2, eps) = (beta1 as f32, beta2 as f32, eps as f32);
                let moments = first.iter_mut().zip(second);
                for ((value, gradient), (first, second)) in parameters.iter_mut().zip(gradient).zip(moments) {
                    let gradient = if decoupled { *gradient } else { gradient + decay * *value };
                    *first = beta1 * *first + (1.0 - beta1) * gradient;
                    *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
                    let step = lr * (*first / correct1) / ((*second / correct2).sqrt() + eps);
                    *value -= if decoupled { step + lr * decay * *value } else { step };
                }
            }
            _ => {
                for (value, gradient) in parameters.iter_mut().zip(gradient) {
                    *value -= lr * (gradient + decay * *value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Optimizer;
    use crate::value::{Call, Fields, Value};

    fn optimizer(name: &str, args: &[(&str, f64)]) -> Optimizer {
        let usual =
            [("lr", 0.1), ("momentum", 0.0), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.0)];
        let fields: Fields =
            usual.iter().chain(args).map(|(name, value)| ((*name).into(), Value::Float(*value))).collect();
        Optimizer::parse(&Call::new(name, fields), 1).unwrap()
    }

    fn walk(mut optimizer: Optimizer, steps: usize) -> f32 {
        let mut x = [1.0];
        for _ in 0..steps {
            // The slope of x squared.
            let gradient = [2.0 * x[0]];
            optimizer.step(&mut x, &gradient, 1.0);
        }
        x[0]
    }

    #[test]
    fn plain_descent_shrinks_by_a_constant_factor() {
        assert!((walk(optimizer("sgd", &[]), 3) - 0.512).abs() < 1e-6);
    }

    #[test]
    fn momentum_remembers() {
        // v = 2, x = 0.8; v = 0.5 * 2 + 1.6 = 2.6, x = 0.54.
        assert!((walk(optimizer("sgd", &[("momentum", 0.5)]), 2) - 0.54).abs() < 1e-6);
    }

    #[test]
    fn the_first_step_of_adam_is_the_learning_rate() {
        assert!((walk(optimizer("adam", &[]), 1) - 0.9).abs() < 1e-5);
    }

    #[test]
    fn decoupled_decay_shrinks_even_without_a_slope() {
        let mut x = [1.0];
        optimizer("adamw", &[("weight_decay", 0.5)]).step(&mut x, &[0.0], 1.0);
        assert!((x[0] - 0.95).abs() < 1e-6);
    }

    #[test]
    fn everything_reaches_the_bottom() {
        for name in ["sgd", "adam", "adamw"] {
            assert!(walk(optimizer(name, &[]), 500).abs() < 0.05, "{name}");
        }
    }
}
