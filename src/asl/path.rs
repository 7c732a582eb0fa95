//! The path of what runs, which names items and rounds by number: an expression where there are any.

use serde_json::{Value as Json, json};
use std::fmt::Write;

/// A path.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// The path without items and rounds, after which states are named.
    pub shown: String,
    /// The variable that holds the path of the item it is in.
    item: Option<String>,
    /// What follows that.
    rest: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// A number, or a text, that an expression gives.
    Given(String),
}

impl Path {
    /// The path of a workflow.
    pub fn root(workflow: &str) -> Self {
        Self { shown: workflow.to_owned(), item: None, rest: vec![Part::Text(workflow.to_owned())] }
    }

    /// The path of a node in it, or of a part.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut path = self.clone();
        let _ = write!(path.shown, "/{name}");
        path.rest.push(Part::Text(format!("/{name}")));
        path
    }

    /// The path of the round whose number a variable holds.
    #[must_use]
    pub fn round(&self, number: &str) -> Self {
        let parts = [Part::Text("[".into()), Part::Given(format!("${number}")), Part::Text("]".into())];
        Self { rest: self.rest.iter().cloned().chain(parts).collect(), ..self.clone() }
    }

    /// The path of an item, whose number an expression gives, and which a variable is to hold.
    pub fn item(&self, number: &str, variable: &str) -> (Json, Self) {
        let parts = [Part::Text("[".into()), Part::Given(number.to_owned()), Part::Text("]".into())];
        let whole = Self { rest: self.rest.iter().cloned().chain(parts).collect(), ..self.clone() };
        (whole.to_json(), self.held_by(variable))
    }

    /// The path of a trial, whose part of the path an expression gives, and which a variable is to hold.
    pub fn trial(&self, name: &str, variable: &str) -> (Json, Self) {
        let parts = [Part::Text("/".into()), Part::Given(name.to_owned())];
        let whole = Self { rest: self.rest.iter().cloned().chain(parts).collect(), ..self.clone() };
        (whole.to_json(), Self { shown: format!("{}/trial", self.shown), ..self.held_by(variable) })
    }

    /// The same path, which a variable is to hold.
    pub fn held_by(&self, variable: &str) -> Self {
        Self { shown: self.shown.clone(), item: Some(variable.to_owned()), rest: Vec::new() }
    }

    /// The path as a state machine writes it.
    pub fn to_json(&self) -> Json {
        match (&self.item, &*self.rest) {
            (None, parts) if parts.iter().all(|part| matches!(part, Part::Text(_))) => json!(self.shown),
            _ => json!(format!("{{% {} %}}", self.expression())),
        }
    }

    /// The path within an expression.
    pub fn expression(&self) -> String {
        let mut pieces: Vec<String> = self.item.iter().map(|variable| format!("${variable}")).collect();
        let mut text = String::new();
        let put = |text: &mut String, pieces: &mut Vec<String>| {
            if !text.is_empty() {
                pieces.push(json!(std::mem::take(text)).to_string());
            }
        };
        for part in &self.rest {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Given(number) => {
                    put(&mut text, &mut pieces);
                    pieces.push(format!("$string({number})"));
                }
            }
        }
        put(&mut text, &mut pieces);
        pieces.join(" & ")
    }
}
