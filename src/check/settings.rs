//! `name: value` settings of steps, tasks and datasets.

use super::{Checker, scope::Place};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    expr::Expr,
    source::Span,
    syntax::ast::{self, Block, Setting, SettingValue},
    types::Type,
};

/// The settings of one step or declaration. Each is taken once; what is left over at the end is unknown.
pub struct Settings<'a> {
    owner: &'static str,
    span: Span,
    left: Vec<&'a Setting>,
    known: Vec<&'static str>,
}

impl<'a> Settings<'a> {
    /// The settings of `owner`, such as "a training".
    pub fn new(owner: &'static str, settings: &'a [Setting], span: Span) -> Self {
        Self { owner, span, left: settings.iter().collect(), known: Vec::new() }
    }

    /// Where the owner stands.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Takes a setting; a second one of the same name is reported.
    pub fn take(&mut self, checker: &mut Checker, name: &'static str) -> Option<&'a Setting> {
        self.known.push(name);
        self.refuse(checker, name)
    }

    /// Takes a setting that has no place here, which the caller reports in words of its own.
    pub fn refuse(&mut self, checker: &mut Checker, name: &'static str) -> Option<&'a Setting> {
        let (mut found, left): (Vec<_>, Vec<_>) = self.left.iter().partition(|setting| &*setting.name.node == name);
        self.left = left;
        for again in found.iter().skip(1) {
            checker.report(
                Diagnostic::new(Code::E0204, again.name.span, format!("`{name}` is set twice"))
                    .label("set again here")
                    .related(found[0].name.span, "first set here"),
            );
        }
        found.truncate(1);
        let setting = found.pop()?;
        checker.no_annotations(&setting.annotations, "a setting");
        Some(setting)
    }

    /// Takes a setting that holds a value, as written.
    pub fn ast(&mut self, checker: &mut Checker, name: &'static str) -> Option<&'a ast::Expr> {
        let setting = self.take(checker, name)?;
        match &setting.value {
            SettingValue::Expr { value, cond: None } => Some(value),
            SettingValue::Expr { cond: Some(cond), .. } => {
                checker.report(
                    Diagnostic::new(Code::E0204, cond.span, "only a dimension of a search space can have a condition")
                        .help("write `name: if cond then a else b`"),
                );
                None
            }
            _ => {
                checker.report(
                    Diagnostic::new(Code::E0204, setting.name.span, format!("`{name}` holds a value, not a block"))
                        .help(format!("write `{name}: value`")),
                );
                None
            }
        }
    }

    /// Takes a setting that holds a value of type `wanted`.
    pub fn value(
        &mut self,
        checker: &mut Checker,
        place: &mut Place,
        name: &'static str,
        wanted: &Type,
    ) -> Option<Expr> {
        let ast = self.ast(checker, name)?;
        Some(checker.value(place, ast, Some(wanted)).0)
    }

    /// Whether a setting that is left may be meant as one of `names`: it is told of as unknown, not the other as missing.
    pub fn misspelt(&self, names: &[&'static str]) -> bool {
        self.left.iter().any(|setting| similar(&setting.name.node, names.iter().copied()).is_some())
    }

    /// Takes a setting that must be there.
    pub fn required(&mut self, checker: &mut Checker, place: &mut Place, name: &'static str, wanted: &Type) -> Expr {
        if !self.left.iter().any(|setting| &*setting.name.node == name) && !self.misspelt(&[name]) {
            checker.report(
                Diagnostic::new(Code::E0204, self.span, format!("{} needs the setting `{name}`", self.owner))
                    .label("missing here")
                    .help(format!("add `{name}: …`")),
            );
        }
        self.value(checker, place, name, wanted).unwrap_or_else(|| super::expressions::broken().0)
    }

    /// Takes a setting that holds further settings in braces.
    pub fn block(&mut self, checker: &mut Checker, name: &'static str) -> Option<&'a [Setting]> {
        let setting = self.take(checker, name)?;
        match &setting.value {
            SettingValue::Settings(settings) => Some(settings),
            _ => no_braces(checker, setting, "settings"),
        }
    }

    /// Takes a setting that holds statements in braces.
    pub fn statements(&mut self, checker: &mut Checker, name: &'static str) -> Option<&'a Block> {
        let setting = self.take(checker, name)?;
        match &setting.value {
            SettingValue::Block(block) => Some(block),
            _ => no_braces(checker, setting, "statements"),
        }
    }

    /// Reports settings that the language has, but that can't be compiled yet.
    pub fn unsupported(&mut self, checker: &mut Checker, names: &[&'static str]) {
        for name in names {
            if let Some(setting) = self.refuse(checker, name) {
                checker.unsupported(setting.span, &format!("the setting `{name}`"));
            }
        }
    }

    /// Reports what was not taken.
    pub fn finish(self, checker: &mut Checker) {
        // What could not be read was told of.
        for setting in self.left.iter().filter(|setting| !setting.is_broken()) {
            let near = similar(&setting.name.node, self.known.iter().copied());
            let help = match near {
                Some(name) => format!("did you mean `{name}`?"),
                None if matches!(&*setting.name.node, "trials" | "n_trials" | "max_trials")
                    && self.known.contains(&"strategy") =>
                {
                    "how many is up to the strategy: `strategy: random(trials: 50)`".into()
                }
                None => {
                    let known: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
                    format!("there are {}", known.join(", "))
                }
            };
            checker.report(
                Diagnostic::new(
                    Code::E0204,
                    setting.name.span,
                    format!("{} has no setting `{}`", self.owner, setting.name.node),
                )
                .label("unknown setting")
                .help(help),
            );
        }
    }
}

/// Reports a setting that has a value where it should hold something in braces.
fn no_braces<T>(checker: &mut Checker, setting: &Setting, holds: &str) -> Option<T> {
    let name = &setting.name.node;
    checker.report(
        Diagnostic::new(Code::E0204, setting.name.span, format!("`{name}` holds {holds} in braces"))
            .help(format!("write `{name} {{ … }}`")),
    );
    None
}

impl Checker {
    /// Reports a part of the language that can't be compiled yet.
    pub(super) fn unsupported(&mut self, span: Span, what: &str) {
        self.report(
            Diagnostic::new(Code::E0007, span, format!("{what} can't be compiled yet"))
                .label("not supported yet")
                .help("`smltc` will not silently ignore it; leave it out for now"),
        );
    }
}
