use super::{Builder, parts};
use crate::{
    diagnostic::{Code, Diagnostic},
    syntax::{
        Rule,
        ast::{ExprKind, Piece},
    },
};
use pest::iterators::Pair;
use std::{fmt::Display, str::FromStr};

impl Builder<'_> {
    /// A literal.
    pub(super) fn literal(&mut self, pair: Pair<Rule>) -> ExprKind {
        let text = pair.as_str();
        match pair.as_rule() {
            Rule::bool => ExprKind::Bool(text == "true"),
            Rule::none => ExprKind::None,
            Rule::string => ExprKind::String(self.pieces(pair)),
            Rule::money => self.read(&pair, text, ExprKind::Money),
            Rule::duration => self.read(&pair, text, ExprKind::Duration),
            Rule::size => self.read(&pair, text, ExprKind::Size),
            Rule::percent => self.read(&pair, text, ExprKind::Percent),
            Rule::int => match text.replace('_', "").parse() {
                Ok(int) => ExprKind::Int(int),
                Err(_) => self.malformed(&pair, &format!("`{text}` does not fit a whole number of 64 bits")),
            },
            _ => match text.replace('_', "").parse::<f64>() {
                Ok(float) if float.is_finite() => ExprKind::Float(float),
                _ => self.malformed(&pair, &format!("`{text}` does not fit a number of 64 bits")),
            },
        }
    }

    fn read<T: FromStr<Err: Display>>(&mut self, pair: &Pair<Rule>, text: &str, kind: fn(T) -> ExprKind) -> ExprKind {
        match text.parse() {
            Ok(value) => kind(value),
            Err(error) => self.malformed(pair, &format!("{error}")),
        }
    }

    fn malformed(&mut self, pair: &Pair<Rule>, message: &str) -> ExprKind {
        let span = self.span(pair);
        self.report(Diagnostic::new(Code::E0005, span, message).label("can't be read"));
        ExprKind::Broken
    }

    fn pieces(&mut self, pair: Pair<Rule>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        for part in parts(pair) {
            match part.as_rule() {
                Rule::chars => text.push_str(part.as_str()),
                Rule::escape => text.push(self.escape(&part)),
                _ => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                    }
                    pieces.extend(parts(part).next().map(|expr| Piece::Expr(self.expr(expr))));
                }
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        pieces
    }

    fn escape(&mut self, pair: &Pair<Rule>) -> char {
        let escape = &pair.as_str()[1..];
        match escape {
            "n" => '\n',
            "t" => '\t',
            "r" => '\r',
            _ => match escape.strip_prefix("u{").and_then(|rest| rest.strip_suffix('}')) {
                Some(hex) => {
                    let char = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
                    char.unwrap_or_else(|| {
                        self.malformed(pair, &format!("`\\u{{{hex}}}` is not a character"));
                        ' '
                    })
                }
                // The rest escape themselves: `\"`, `\\`, `\{`, `\}`.
                None => escape.chars().next().unwrap_or('\\'),
            },
        }
    }
}
