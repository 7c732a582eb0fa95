//! Datasets and tasks: declarations made of settings.

use super::{Checker, arguments::ParamSig, scope::Place, settings::Settings, types::std};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::Expr,
    limits::{Limits, Memory},
    source::{Name, Span},
    step::Script,
    syntax::ast::{self, ExprKind, Setting, SettingValue},
    types::Type,
    value::{Format, Value},
};

impl Checker {
    /// The fields of a dataset's value.
    pub(super) fn dataset(&mut self, place: &mut Place, item: &ast::Item, settings: &[Setting]) -> Vec<(Name, Expr)> {
        let mut settings = Settings::new("a dataset", settings, item.name.span);
        let mut fields: Vec<(Name, Expr)> = Vec::new();
        for name in ["source", "test"] {
            let given = settings.ast(self, name);
            if name == "source" && given.is_none() {
                self.report(
                    Diagnostic::new(Code::E0204, item.name.span, "a dataset needs the setting `source`")
                        .label("missing here")
                        .help("say where the data lies: `source: \"data/*.csv\"`"),
                );
            }
            if let Some(ast) = given {
                fields.push((name.into(), self.locations(place, ast)));
            }
        }
        let format = settings.ast(self, "format").map(|ast| (ast.span, self.value(place, ast, Some(&std("Format"))).0));
        let known = match &format {
            Some((span, Expr::Const(Value::Std(call)))) => match Format::parse(call) {
                Ok(format) => Some((call.name.clone(), format)),
                Err(error) => {
                    self.out_of_range(*span, &error.to_string());
                    None
                }
            },
            _ => None,
        };
        fields.extend(format.map(|(_, format)| ("format".into(), format)));
        for (name, ty) in [("label", Type::String), ("columns", Type::String.list())] {
            let Some(ast) = settings.ast(self, name) else { continue };
            fields.push((name.into(), self.value(place, ast, Some(&ty)).0));
            if let Some((format, _)) = known.as_ref().filter(|(_, format)| !format.has_columns()) {
                self.report(
                    Diagnostic::new(
                        Code::E0204,
                        ast.span,
                        format!("`{format}` has no columns, so it takes no `{name}`"),
                    )
                    .label("names a column")
                    .help(match &**format {
                        "idx" => "leave it out: the labels have a file of their own",
                        _ => "leave it out, and name the arrays in the format: `features`, `labels`",
                    }),
                );
            }
        }
        let optional = [("shape", Type::Int.list()), ("standardize", Type::Bool), ("scale", Type::Float)];
        for (name, ty) in optional {
            if let Some(value) = settings.value(self, place, name, &ty) {
                fields.push((name.into(), value));
            }
        }
        if let Some(split) = settings.block(self, "split") {
            let mut split = Settings::new("a split", split, item.name.span);
            for (name, field) in [("train", "split.train"), ("valid", "split.valid"), ("test", "split.test")] {
                let value = split.value(self, place, name, &Type::Percent);
                // A split that is written out says all: what it leaves out is nothing.
                let none = || Expr::Const(Value::Percent(crate::units::Percent::default()));
                fields.push((field.into(), value.unwrap_or_else(none)));
            }
            if let Some(seed) = split.value(self, place, "seed", &Type::Int) {
                fields.push(("split.seed".into(), seed));
            }
            split.finish(self);
        }
        settings.finish(self);
        fields
    }

    /// A path, a stored file, or a list of them.
    fn locations(&mut self, place: &mut Place, ast: &ast::Expr) -> Expr {
        let (expr, ty) = self.expr(place, ast, None);
        match &ty {
            Type::List(inner) if inner.is_location() => {}
            ty if ty.is_location() => {}
            ty => self.mismatch(ast.span, &Type::Uri, ty),
        }
        if let Expr::Const(Value::String(path)) = &expr
            && let Some((scheme, _)) = path.split_once("://")
        {
            self.unsupported(ast.span, &format!("reading data from `{scheme}://`"));
        }
        expr
    }

    /// What a task runs, its environment, and which of that is secret; its memory and processors go into `limits`.
    pub(super) fn task(
        &mut self,
        place: &mut Place,
        item: &ast::Item,
        params: &[ParamSig],
        settings: &[Setting],
        limits: &mut Limits,
    ) -> (Script, Vec<(Name, Expr)>, Vec<Name>) {
        let mut settings = Settings::new("a task", settings, item.name.span);
        let command = settings.ast(self, "command").map(|ast| self.command(place, ast));
        let shell = settings.ast(self, "shell").map(|ast| self.shell(place, ast));
        let script = match (command, shell) {
            (Some(command), None) => Script::Args(command),
            (None, Some(shell)) => Script::Shell(shell),
            (Some(command), Some(_)) => {
                self.report(Diagnostic::new(
                    Code::E0204,
                    item.name.span,
                    "a task has either a `command` or a `shell` script, not both",
                ));
                Script::Args(command)
            }
            (None, None) => {
                self.report(
                    Diagnostic::new(Code::E0204, item.name.span, "a task needs the setting `command` or `shell`")
                        .label("missing here")
                        .help("say what to run: `command: [\"python3\", \"clean.py\"]`"),
                );
                Script::Shell(super::expressions::broken().0)
            }
        };
        if let Some(memory) = settings.ast(self, "memory")
            && let Some(Value::Size(memory)) = self.constant(&mut Place::new(place.file), memory, &Type::Size)
        {
            limits.memory = Some(Memory::Exactly(memory));
        }
        if let Some(cpu) = settings.ast(self, "cpu")
            && let Some(Value::Float(cpu)) = self.constant(&mut Place::new(place.file), cpu, &Type::Float)
        {
            limits.cpu = Some(cpu);
        }
        let mut env = Vec::new();
        if let Some(variables) = settings.block(self, "env") {
            for variable in variables {
                self.refuse_kept(&variable.name.node, variable.name.span);
                if let SettingValue::Expr { value, cond: None } = &variable.value {
                    env.push((variable.name.node.clone(), self.value(place, value, Some(&Type::String)).0));
                } else {
                    self.report(Diagnostic::new(Code::E0204, variable.span, "an environment variable holds a text"));
                }
            }
        }
        let mut secrets: Vec<Name> =
            params.iter().filter(|param| param.secret).map(|param| param.name.clone()).collect();
        if let Some(names) = settings.ast(self, "secrets") {
            let params = params.iter().map(|param| &param.name);
            let taken: Vec<Name> = params.chain(env.iter().map(|(name, _)| name)).cloned().collect();
            let names = self.secret_names(place, names, &taken);
            self.secrets.extend(names.iter().cloned());
            secrets.extend(names);
        }
        settings.unsupported(self, &["image"]);
        settings.finish(self);
        (script, env, secrets)
    }

    /// Reports a variable of a command that would stand in the place of one that tells it something else.
    pub(super) fn refuse_kept(&mut self, name: &Name, span: Span) {
        if name.starts_with("SMLT_") {
            self.report(
                Diagnostic::new(Code::E0106, span, format!("`{name}` is kept for what smltc tells a command"))
                    .label("begins with `SMLT_`")
                    .help("call it something else"),
            );
        }
    }

    /// A program and its arguments: texts, and stored files, which become paths.
    fn command(&mut self, place: &mut Place, ast: &ast::Expr) -> Expr {
        let ExprKind::List(words) = &ast.kind else { return self.value(place, ast, Some(&Type::String.list())).0 };
        let word = |word: &ast::Expr| match self.expr(place, word, Some(&Type::String)) {
            (expr, Type::Artifact) => expr,
            (expr, ty) => self.coerce(expr, ty, &Type::String, word.span).0,
        };
        Expr::List(words.iter().map(word).collect())
    }

    /// A script takes its parameters from the environment: nothing is pasted into it, so nothing can be injected.
    fn shell(&mut self, place: &mut Place, ast: &ast::Expr) -> Expr {
        let (expr, ty) = self.value(place, ast, Some(&Type::String));
        if !matches!(expr, Expr::Const(_)) && ty != Type::Unknown {
            let example = match &ast.kind {
                ExprKind::String(pieces) => pieces.iter().find_map(|piece| match piece {
                    ast::Piece::Expr(ast::Expr { kind: ExprKind::Name(name), .. }) => Some(name.clone()),
                    _ => None,
                }),
                _ => None,
            };
            let name = example.as_deref().unwrap_or("name");
            self.report(
                Diagnostic::new(Code::E0303, ast.span, "a script can't have values pasted into it")
                    .label("depends on a parameter")
                    .help(format!("parameters are environment variables: write `\"${name}\"` in the script")),
            );
        }
        expr
    }
}
