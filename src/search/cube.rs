//! Points of a space as points of the unit cube, which is where models of the objective are at home.

use super::space::{Distribution, Space, between, log_between};
use crate::{
    normal,
    value::{Fields, Value},
};

/// Where a point lies along one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coordinate {
    /// Nowhere: the dimension does not exist there.
    Absent,
    /// The share of the distribution's draws that are smaller, from 0 to 1; options that are numbers have an order too.
    Number(f64),
    /// The place of one of several options without an order.
    Choice(usize),
}

/// A coordinate for each dimension.
pub(super) type Point = Vec<Coordinate>;

impl Space {
    /// Where a point of this space lies.
    pub(super) fn locate(&self, point: &Fields) -> Point {
        let value = |name| point.get(name).unwrap_or(&Value::None);
        self.0.iter().map(|dimension| dimension.distribution.locate(value(&dimension.name))).collect()
    }
}

impl Distribution {
    /// Where a value lies. One of countable numbers lies in the middle of its own stretch.
    pub(super) fn locate(&self, value: &Value) -> Coordinate {
        match (self, value) {
            (Self::Choice(options), value) => match options.iter().position(|option| option == value) {
                Some(option) if ordered(options) => Coordinate::Number((option as f64 + 0.5) * self.stretch()),
                option => option.map_or(Coordinate::Absent, Coordinate::Choice),
            },
            (Self::Int { low, .. }, Value::Int(value)) => {
                let offset = value.wrapping_sub(*low) as u64;
                Coordinate::Number((offset as f64 + 0.5) * self.stretch())
            }
            (Self::Uniform { low, high }, Value::Float(value)) => Coordinate::Number(share(*low, *high, *value)),
            (Self::LogUniform { low, high }, Value::Float(value)) => {
                Coordinate::Number(share(low.ln(), high.ln(), value.ln()))
            }
            (Self::Normal { mean, deviation }, Value::Float(value)) => {
                Coordinate::Number(normal::cumulative((value - mean) / deviation))
            }
            _ => Coordinate::Absent,
        }
    }

    /// The value that lies there.
    pub(super) fn value(&self, at: Coordinate) -> Value {
        match (self, at) {
            (Self::Choice(options), Coordinate::Choice(option)) => options.get(option).cloned().unwrap_or(Value::None),
            (Self::Choice(options), Coordinate::Number(share)) => {
                let option = (share * options.len() as f64) as usize;
                options.get(option).or(options.last()).cloned().unwrap_or(Value::None)
            }
            (Self::Int { low, high }, Coordinate::Number(share)) => {
                let offset = ((share / self.stretch()) as u64).min(high.wrapping_sub(*low) as u64);
                Value::Int(low.wrapping_add(offset as i64))
            }
            (Self::Uniform { low, high }, Coordinate::Number(share)) => Value::Float(between(*low, *high, share)),
            (Self::LogUniform { low, high }, Coordinate::Number(share)) => {
                Value::Float(log_between(*low, *high, share))
            }
            (Self::Normal { mean, deviation }, Coordinate::Number(share)) => {
                Value::Float(mean + deviation * normal::quantile(share))
            }
            _ => Value::None,
        }
    }

    /// The number of options, where there are any without an order.
    pub(super) fn options(&self) -> usize {
        match self {
            Self::Choice(options) if !ordered(options) => options.len(),
            _ => 0,
        }
    }

    /// How much of the unit interval one value takes; nothing but countable numbers take any.
    pub(super) fn stretch(&self) -> f64 {
        match self {
            Self::Int { low, high } => 1.0 / (high.wrapping_sub(*low) as u64 as f64 + 1.0),
            Self::Choice(options) if ordered(options) => 1.0 / options.len() as f64,
            _ => 0.0,
        }
    }
}

/// Whether options are numbers, each greater than the one before.
fn ordered(options: &[Value]) -> bool {
    options.iter().all(|option| option.as_f64().is_some()) && options.is_sorted_by(|a, b| a.as_f64() < b.as_f64())
}

/// The share of the way from `low` to `high`; the halves keep the widest range within what a number can hold.
fn share(low: f64, high: f64, value: f64) -> f64 {
    let width = high / 2.0 - low / 2.0;
    if width > 0.0 { ((value / 2.0 - low / 2.0) / width).clamp(0.0, 1.0) } else { 0.5 }
}

#[cfg(test)]
mod tests;
