//! What the dimensions of a search are drawn from.

use super::{SearchError, cube::Coordinate};
use crate::{
    expr::{self, Expr, Scope, Var},
    seed::{Generator, Seed},
    source::Name,
    value::{Call, Fields, Value},
};

/// The points of a grid must fit into memory and into a life.
const MAX_GRID: usize = 100_000;

/// The most strata that a dimension is cut into.
const MAX_STRATA: u64 = 1000;

/// The dimensions of a search.
#[derive(Clone, Debug)]
pub struct Space(pub Vec<Dimension>);

/// One dimension.
#[derive(Clone, Debug)]
pub struct Dimension {
    /// Its name.
    pub name: Name,
    /// The variable by which conditions of later dimensions read it.
    pub var: Var,
    /// What it is drawn from.
    pub distribution: Distribution,
    /// When it exists; it reads nothing but dimensions before it.
    pub cond: Option<Expr>,
}

/// What a value is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Any number from `low` to `high`, all equally likely.
    Uniform {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// Any number from `low` to `high`, all orders of magnitude equally likely.
    LogUniform {
        /// The least, above zero.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// Any whole number from `low` to `high`, both included.
    Int {
        /// The least.
        low: i64,
        /// The greatest.
        high: i64,
    },
    /// One of the values of a list.
    Choice(Vec<Value>),
    /// A normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, above zero.
        deviation: f64,
    },
}

impl Space {
    /// The point that a seed draws. Each dimension draws from a seed of its own, so that adding one changes no other.
    pub(super) fn draw(&self, seed: Seed) -> Result<Fields, SearchError> {
        self.point(|_, dimension| dimension.distribution.draw(&mut seed.child(&dimension.name).generator()))
    }

    /// The draw of a number from 0, of `count`, each of which lies in a stratum of its own along every dimension (McKay et al.,
    /// "A Comparison of Three Methods for Selecting Values of Input Variables", 1979).
    pub(super) fn draw_apart(&self, seed: Seed, number: u64, count: u64) -> Result<Fields, SearchError> {
        let count = count.clamp(1, MAX_STRATA);
        let seed = seed.child(number / count);
        self.point(|_, dimension| {
            let seed = seed.child(&dimension.name);
            let mut strata: Vec<u64> = (0..count).collect();
            seed.generator().shuffle(&mut strata);
            let within = seed.child(number).generator().unit();
            let share = (strata[(number % count) as usize] as f64 + within) / count as f64;
            dimension.distribution.value(Coordinate::Number(share))
        })
    }

    /// The point whose values `choose` gives, first to last, for the dimensions that exist; the others are `none`.
    pub(super) fn point(&self, mut choose: impl FnMut(usize, &Dimension) -> Value) -> Result<Fields, SearchError> {
        let mut scope = Scope::default();
        let mut point = Fields::new();
        for (index, dimension) in self.0.iter().enumerate() {
            let value = match dimension.exists(&scope)? {
                true => choose(index, dimension),
                false => Value::None,
            };
            scope.set(dimension.var, value.clone());
            point.insert(dimension.name.clone(), value);
        }
        Ok(point)
    }

    /// Every combination, with ranges of numbers cut into `points`; the last dimension varies fastest.
    pub(super) fn grid(&self, points: usize) -> Result<Vec<Fields>, SearchError> {
        let mut grid = vec![(Scope::default(), Fields::new())];
        for dimension in &self.0 {
            let values =
                dimension.distribution.grid(points).ok_or_else(|| SearchError::Boundless(dimension.name.clone()))?;
            let mut longer = Vec::new();
            for (scope, point) in grid {
                let none = [Value::None];
                for value in if dimension.exists(&scope)? { &values } else { &none[..] } {
                    let (mut scope, mut point) = (scope.clone(), point.clone());
                    scope.set(dimension.var, value.clone());
                    point.insert(dimension.name.clone(), value.clone());
                    longer.push((scope, point));
                }
                if longer.len() > MAX_GRID {
                    return Err(SearchError::LargeGrid(MAX_GRID));
                }
            }
            grid = longer;
        }
        Ok(grid.into_iter().map(|(_, point)| point).collect())
    }
}

impl Dimension {
    fn exists(&self, before: &Scope) -> Result<bool, SearchError> {
        let Some(cond) = &self.cond else { return Ok(true) };
        let cond = expr::eval(cond, before);
        cond.map(|cond| cond == Value::Bool(true)).map_err(|error| SearchError::Condition(self.name.clone(), error))
    }
}

impl Distribution {
    /// The distribution that a value of `std/space` stands for, of the dimension `name`.
    ///
    /// # Errors
    /// When its bounds are the wrong way round, or there is nothing to draw.
    pub fn parse(name: &Name, value: &Value) -> Result<Self, SearchError> {
        let bad = |what: String| SearchError::Bounds(name.clone(), what);
        let Value::Std(Call { name: kind, args, .. }) = value else {
            return Err(bad("it is not a distribution".into()));
        };
        let number = |arg: &str| args.get(arg).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let whole = |arg: &str| args.get(arg).and_then(Value::as_int).unwrap_or_default();
        let ordered = |low: f64, high: f64| match low.is_finite() && high.is_finite() && low <= high {
            true => Ok((low, high)),
            false => Err(bad(format!("it can't go from {low} to {high}"))),
        };
        Ok(match &**kind {
            "uniform" => {
                let (low, high) = ordered(number("low"), number("high"))?;
                Self::Uniform { low, high }
            }
            "log_uniform" => {
                let (low, high) = ordered(number("low"), number("high"))?;
                if low <= 0.0 {
                    return Err(bad(format!("orders of magnitude start above zero, not at {low}")));
                }
                Self::LogUniform { low, high }
            }
            "int" => {
                let (low, high) = (whole("low"), whole("high"));
                ordered(low as f64, high as f64)?;
                Self::Int { low, high }
            }
            "pow2" => {
                let (low, high) = (whole("low"), whole("high"));
                let powers: Vec<Value> =
                    (0..63).map(|power| 1_i64 << power).filter(|n| (low..=high).contains(n)).map(Value::Int).collect();
                if powers.is_empty() {
                    return Err(bad(format!("there is no power of two from {low} to {high}")));
                }
                Self::Choice(powers)
            }
            "choice" => match args.get("options") {
                Some(Value::List(options)) if !options.is_empty() => Self::Choice(options.clone()),
                _ => return Err(bad("there is nothing to choose from".into())),
            },
            "normal" => {
                let (mean, deviation) = (number("mean"), number("deviation"));
                if !mean.is_finite() || !deviation.is_finite() || deviation <= 0.0 {
                    return Err(bad(format!("its deviation must be above zero, not {deviation}")));
                }
                Self::Normal { mean, deviation }
            }
            other => return Err(bad(format!("`{other}` is not a distribution"))),
        })
    }

    pub(super) fn draw(&self, generator: &mut Generator) -> Value {
        match self {
            Self::Uniform { low, high } => Value::Float(between(*low, *high, generator.unit())),
            Self::LogUniform { low, high } => Value::Float(log_between(*low, *high, generator.unit())),
            // A range of all 2^64 whole numbers has a width that wraps to zero; any bits will do then.
            Self::Int { low, high } => Value::Int(match high.wrapping_sub(*low).wrapping_add(1) as u64 {
                0 => generator.bits() as i64,
                width => low.wrapping_add(generator.below(width) as i64),
            }),
            Self::Choice(options) => options[generator.below(options.len() as u64) as usize].clone(),
            Self::Normal { mean, deviation } => Value::Float(mean + deviation * generator.normal()),
        }
    }

    /// The values of a grid, both ends included; `None` where there are no ends.
    fn grid(&self, points: usize) -> Option<Vec<Value>> {
        let share = |index: usize| if points == 1 { 0.5 } else { index as f64 / (points - 1) as f64 };
        Some(match self {
            Self::Uniform { low, high } => (0..points).map(|i| Value::Float(between(*low, *high, share(i)))).collect(),
            Self::LogUniform { low, high } => {
                (0..points).map(|i| Value::Float(log_between(*low, *high, share(i)))).collect()
            }
            Self::Int { low, high } => {
                let mut whole: Vec<i64> =
                    (0..points).map(|i| between(*low as f64, *high as f64, share(i)).round() as i64).collect();
                whole.dedup();
                whole.into_iter().map(Value::Int).collect()
            }
            Self::Choice(options) => options.clone(),
            Self::Normal { .. } => return None,
        })
    }
}

/// Ends come out exactly, whatever rounding does between them.
pub(super) fn between(low: f64, high: f64, share: f64) -> f64 {
    if share == 1.0 { high } else { (low + (high - low) * share).clamp(low, high) }
}

pub(super) fn log_between(low: f64, high: f64, share: f64) -> f64 {
    match share {
        0.0 => low,
        1.0 => high,
        share => between(low.ln(), high.ln(), share).exp().clamp(low, high),
    }
}
