//! What statements read.

use super::program::{Body, Stmt, StmtKind};
use crate::expr::{Expr, Var};
use crate::step::Trial;
use std::collections::BTreeSet;

impl Stmt {
    /// The variables that it reads and does not bind itself.
    pub fn reads(&self) -> BTreeSet<Var> {
        let mut reads = BTreeSet::new();
        self.read_into(&mut reads);
        reads
    }

    fn read_into(&self, reads: &mut BTreeSet<Var>) {
        let mut visit = |expr: &Expr| expr.free_vars(&mut |var| reads.extend([var]));
        match &*self.kind {
            StmtKind::Value(expr) | StmtKind::Inspect(expr) => visit(expr),
            StmtKind::Assert { cond, message } => {
                visit(cond);
                message.as_deref().into_iter().for_each(visit);
            }
            // A task's script reads its parameters, which no other expression can name.
            StmtKind::Run(run) => run.args.iter().for_each(visit),
            StmtKind::Train(train) => train.each_expr(&mut visit),
            StmtKind::Evaluate(evaluate) => {
                [&evaluate.model, &evaluate.data, &evaluate.metrics].into_iter().for_each(visit)
            }
            StmtKind::Search(search) => {
                visit(&search.strategy);
                search.parallel.iter().chain(&search.seed).for_each(&mut visit);
                for dimension in &search.space {
                    visit(&dimension.distribution);
                    dimension.cond.iter().for_each(&mut visit);
                }
                search.trial.read_into(reads);
            }
            StmtKind::For { list, body, .. } => {
                visit(list);
                body.read_into(reads);
            }
            StmtKind::If { cond, then, otherwise } => {
                visit(cond);
                then.read_into(reads);
                otherwise.iter().for_each(|body| body.read_into(reads));
            }
            StmtKind::Group(body) => body.read_into(reads),
            StmtKind::Try { body, catches } => {
                body.read_into(reads);
                catches.iter().for_each(|catch| catch.body.read_into(reads));
            }
            StmtKind::Repeat { times, carried, cond, body } => {
                let start = carried.as_deref().map(|(_, start)| start);
                start.into_iter().chain(cond.as_deref()).chain([times]).for_each(visit);
                body.read_into(reads);
            }
            StmtKind::Call { args, .. } => args.iter().for_each(visit),
        }
    }
}

impl Body {
    /// Adds what it reads. That may hold variables of its own as well: no other body defines those.
    pub fn read_into(&self, reads: &mut BTreeSet<Var>) {
        for stmt in &self.stmts {
            stmt.read_into(reads);
            reads.extend(&stmt.after);
        }
        self.result.iter().for_each(|result| result.node.free_vars(&mut |var| reads.extend([var])));
    }
}

impl Trial<Body> {
    /// Adds what it reads, as [`Body::read_into`] does.
    pub fn read_into(&self, reads: &mut BTreeSet<Var>) {
        match self {
            Self::Train(train) => train.each_expr(&mut |expr| expr.free_vars(&mut |var| reads.extend([var]))),
            Self::Steps { body, .. } => body.read_into(reads),
        }
    }
}
