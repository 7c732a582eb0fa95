//! The parameters of workflows.

use crate::{
    expr::{self, Expr, Native, Scope, Var},
    source::Name,
    types::Type,
    value::Value,
};
use serde::{Deserialize, Serialize};

/// A parameter of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Param {
    /// Its name, also on the command line.
    pub name: Name,
    /// The variable that holds it.
    pub var: Var,
    /// Its type.
    pub ty: Type,
    /// Its value when none is given; `None` when one must be given.
    pub default: Option<Value>,
    /// `@range(a..b)`: the least and the greatest value.
    pub range: Option<(Value, Value)>,
    /// `@one_of([…])`: the values it may have; any when empty.
    pub one_of: Vec<Value>,
    /// Its `@secret` mark: its value is then the name of an environment variable that holds the secret.
    pub secret: bool,
}

impl Param {
    /// The environment variable in which a secret parameter of a workflow is found.
    pub fn variable(&self) -> String {
        self.name.to_ascii_uppercase()
    }

    /// Whether a value is in the range and among the choices of the parameter.
    ///
    /// # Errors
    /// Says why not, to follow the parameter's name.
    pub fn admits(&self, value: &Value) -> Result<(), String> {
        if let Some((low, high)) = &self.range {
            let within = |low: &Value, high: &Value| at_most(low, value) && at_most(value, high);
            if *value != Value::None && !within(low, high) {
                return Err(format!("must be from {low} to {high}, not {value}"));
            }
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) && *value != Value::None {
            let choices: Vec<String> = self.one_of.iter().map(ToString::to_string).collect();
            return Err(format!("must be one of {}, not {value}", choices.join(", ")));
        }
        Ok(())
    }
}

/// Whether `a <= b`, for two values of one ordered type.
fn at_most(a: &Value, b: &Value) -> bool {
    let order = Expr::native(Native::Le, [Expr::Const(a.clone()), Expr::Const(b.clone())]);
    expr::eval(&order, &Scope::default()) == Ok(Value::Bool(true))
}
