//! Settings of elastic trainings. What is known of them before the run is checked as the run checks the rest.

use super::{Checker, expressions::broken, scope::Place, settings::Settings, types::std as std_type};
use crate::{
    diagnostic::{Code, Diagnostic},
    elastic::{self, ElasticError, Syncing},
    expr::Expr,
    limits::Memory,
    source::{Span, Spanned},
    step::Team,
    syntax::ast,
    types::Type,
    value::Value,
    wire::{self, Staged},
};

/// A setting as it was written.
pub type Written = Option<Spanned<Expr>>;

impl Checker {
    /// An expression of one of several types, the first of which the place likes best.
    pub(super) fn one_of(&mut self, place: &mut Place, ast: &ast::Expr, types: &[Type]) -> Expr {
        let before = self.mistakes();
        let (expr, given) = self.expr(place, ast, types.first());
        let expr = match (types.iter().find(|wanted| wanted.accepts(&given)), types) {
            (Some(wanted), _) | (None, [wanted]) => self.coerce(expr, given, wanted, ast.span).0,
            (None, _) => {
                let names: Vec<String> = types.iter().map(|ty| format!("`{ty}`")).collect();
                let message = format!("expected one of {}, found `{}`", names.join(", "), given.brief());
                let label = format!("this is `{}`", given.brief());
                self.report(Diagnostic::new(Code::E0201, ast.span, message).label(label));
                expr
            }
        };
        // What is wrong in itself is not looked at further.
        if self.mistakes() > before { broken().0 } else { expr }
    }

    /// Who trains, of a training with batches of so many samples.
    pub(super) fn team(&mut self, place: &mut Place, settings: &mut Settings, batch: &Written) -> Team {
        let mut written = |this: &mut Self, name: &'static str, types: &[Type]| -> Written {
            let ast = settings.ast(this, name)?;
            Some(Spanned::new(this.one_of(place, ast, types), ast.span))
        };
        let workers = written(self, "workers", &[Type::Int, Type::Range(Box::new(Type::Int)), std_type("Staged")]);
        let shards = written(self, "shards", &[Type::Int]);
        let sync = written(self, "sync", &[std_type("Exchange")]);
        let checkpoint = written(self, "checkpoint", &[std_type("Every")]);
        let replan = written(self, "replan", &[std_type("Every")]);
        self.check_team(batch, &workers, &shards, &sync);
        for every in [&checkpoint, &replan] {
            self.known(every, |value| elastic::every(value).map(drop), ());
        }
        let [workers, shards, sync, checkpoint, replan] =
            [workers, shards, sync, checkpoint, replan].map(|setting| setting.map(|setting| setting.node));
        Team { workers, shards, sync, checkpoint, replan, first: None }
    }

    /// The memory of each of those who train.
    pub(super) fn memory(&mut self, place: &mut Place, settings: &mut Settings) -> Option<Memory> {
        let ast = settings.ast(self, "memory")?;
        let expr = self.one_of(place, ast, &[Type::Size, Type::Range(Box::new(Type::Size))]);
        match self.known_before(expr, ast.span)? {
            Value::Size(memory) => Some(Memory::Exactly(memory)),
            Value::Range(ends) => match *ends {
                (Value::Size(least), Value::Size(most)) if least > most => {
                    let (first, last) = (least.to_string(), most.to_string());
                    self.not_elastic(ast.span, &ElasticError::Backward { name: "memory", first, last });
                    None
                }
                (Value::Size(least), Value::Size(most)) => Some(Memory::Within(least, most)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Reports what is wrong with numbers of samples, workers, shards and backups, and what does not fit together.
    fn check_team(&mut self, batch: &Written, workers: &Written, shards: &Written, sync: &Written) {
        let samples = self.known(batch, elastic::batch, Staged::fixed(elastic::BATCH));
        let team = self.known(workers, elastic::workers, wire::Team::default().workers);
        let asked = self.known(shards, |value| elastic::shards(value).map(Some), None);
        let ways = self.known(sync, elastic::sync, Syncing::default());
        if let (Some(samples), Some(Some(asked)), Some(setting)) = (&samples, asked, shards)
            && let Err(error) = elastic::check_batch(samples, asked)
        {
            return self.not_elastic(setting.span, &error);
        }
        let count = match (&samples, asked) {
            (_, Some(Some(asked))) => Some(asked),
            (Some(samples), Some(None)) => Some(wire::shards(samples, None)),
            _ => None,
        };
        let (Some(count), Some(team)) = (count, team) else { return };
        if let Some(setting) = workers
            && let Err(error) = elastic::check_workers(&team, count)
        {
            return self.not_elastic(setting.span, &error);
        }
        if let (Some(ways), Some(setting)) = (ways, sync)
            && let Err(error) = elastic::check_backups(ways.backups, &team, count)
        {
            self.not_elastic(setting.span, &error);
        }
    }

    /// What a setting comes to, if that is known: `otherwise` where it is absent, and nothing where it makes no sense,
    /// which is reported.
    fn known<T>(
        &mut self,
        setting: &Written,
        read: impl Fn(&Value) -> Result<T, ElasticError>,
        otherwise: T,
    ) -> Option<T> {
        let Some(Spanned { node, span }) = setting else { return Some(otherwise) };
        match read(node.as_const()?) {
            Ok(value) => Some(value),
            // What is of no type that it may have was told of.
            Err(ElasticError::Unchecked(_)) => None,
            Err(error) => {
                self.not_elastic(*span, &error);
                None
            }
        }
    }

    fn not_elastic(&mut self, span: Span, error: &ElasticError) {
        let (code, label) = match error {
            ElasticError::Every(_) => (Code::E0202, "one is wanted"),
            ElasticError::Uneven { .. } | ElasticError::Cut { .. } | ElasticError::Backups { .. } => {
                (Code::E0304, "does not fit")
            }
            ElasticError::Backward { .. }
            | ElasticError::Empty
            | ElasticError::Lengths { .. }
            | ElasticError::Order(..) => (Code::E0304, "makes no sense"),
            _ => (Code::E0304, "out of range"),
        };
        self.report(Diagnostic::new(code, span, error.to_string()).label(label).maybe_help(error.help()));
    }
}
