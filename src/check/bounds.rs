//! Limits that no run can keep: the least that a workflow takes and costs, whatever its steps do.

use super::program::{Body, Stmt, StmtKind, Workflow};
use crate::{
    diagnostic::{Code, Diagnostic},
    expr::Expr,
    limits::{Amount, Limits},
    prices::Prices,
    source::Span,
    step::Trial,
    units::{Duration, Money},
    value::Value,
};
use rust_decimal::Decimal;
use std::collections::HashMap;

/// A step that a worker does takes a millisecond at least: time is counted in them, and begun ones are billed.
const LEAST: i64 = 1;

/// The least that statements take: steps one after another, and steps in all.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    chain: u64,
    steps: u64,
}

/// Tells of the limits of a workflow that no run can keep, unless all results are there already.
pub(super) fn check(workflow: &Workflow, report: &mut dyn FnMut(Diagnostic)) {
    if !workflow.limits.is_limited() && !is_limited(&workflow.body) {
        return;
    }
    let least = of_body(&workflow.body, report);
    judge(&workflow.limits, least, workflow.span, &workflow.body, report);
}

/// Whether anything in a body has limits, but for the workflows that it runs: most have none.
fn is_limited(body: &Body) -> bool {
    body.stmts.iter().any(|stmt| {
        stmt.limits.as_deref().is_some_and(Limits::is_limited)
            || match &*stmt.kind {
                StmtKind::For { body, .. } | StmtKind::Group(body) | StmtKind::Repeat { body, .. } => is_limited(body),
                StmtKind::If { then, otherwise, .. } => is_limited(then) || otherwise.as_ref().is_some_and(is_limited),
                StmtKind::Try { body, catches } => {
                    is_limited(body) || catches.iter().any(|catch| is_limited(&catch.body))
                }
                StmtKind::Search(search) => match &search.trial {
                    Trial::Steps { body, .. } => is_limited(body),
                    Trial::Train(_) => false,
                },
                _ => false,
            }
    })
}

/// Compares limits with the least.
fn judge(limits: &Limits, least: Least, span: Span, body: &Body, report: &mut dyn FnMut(Diagnostic)) {
    let takes = Duration::from_millis((least.chain.min(1 << 50) as i64) * LEAST);
    if let Some(deadline) =
        limits.deadline.as_ref().filter(|deadline| deadline.after < takes && deadline.after > Duration::ZERO)
    {
        let message = format!("the deadline of {} can't be kept: it takes {takes} at least", deadline.after);
        let path = path(body);
        let mut diagnostic = Diagnostic::new(Code::E0501, span, message)
            .label(format!("{} steps one after another, each of a millisecond at least", least.chain))
            .help(format!("allow more time, such as `@deadline({})`", rounded(takes)));
        for (span, what) in path {
            diagnostic = diagnostic.related(span, what);
        }
        report(diagnostic);
    }
    let Some(Amount::Money(budget)) = limits.budget.as_ref().map(|budget| budget.amount) else { return };
    let start = Prices::embedded().start().dollars();
    let costs = start.checked_mul(Decimal::from(least.steps)).map_or(Money::ZERO, Money::new);
    if budget < costs && budget > Money::ZERO {
        let message = format!("the budget of {budget} can't be kept: the steps cost {costs} at least");
        let each = Money::new(start);
        report(
            Diagnostic::new(Code::E0502, span, message)
                .label(match least.steps {
                    1 => format!("a step takes {each} to start with"),
                    steps => format!("{steps} steps, each {each} to start with"),
                })
                .help("allow more money, or let it have fewer steps"),
        );
    }
}

/// A time with two digits that is not less.
fn rounded(time: Duration) -> Duration {
    let ms = time.millis().max(1);
    let unit = 10_i64.pow(ms.ilog10().saturating_sub(1));
    Duration::from_millis((ms + unit - 1) / unit * unit)
}

fn of_body(body: &Body, report: &mut dyn FnMut(Diagnostic)) -> Least {
    let owns: Vec<Least> = body.stmts.iter().map(|stmt| of_stmt(stmt, report)).collect();
    let chain = chains(body, |index| owns[index].chain).into_iter().max().unwrap_or(0);
    Least { chain, steps: owns.iter().fold(0, |sum, own| sum.saturating_add(own.steps)) }
}

/// The steps from the beginning to the end of each statement, on the longest way.
fn chains(body: &Body, own: impl Fn(usize) -> u64) -> Vec<u64> {
    let (mut until, mut defined) = (Vec::with_capacity(body.stmts.len()), HashMap::new());
    for (index, stmt) in body.stmts.iter().enumerate() {
        let waits = stmt.reads().into_iter().chain(stmt.after.iter().copied());
        let before = waits.filter_map(|var| defined.get(&var)).map(|index: &usize| until[*index]).max().unwrap_or(0);
        until.push(own(index).saturating_add(before));
        defined.insert(stmt.var, index);
    }
    until
}

fn of_stmt(stmt: &Stmt, report: &mut dyn FnMut(Diagnostic)) -> Least {
    let none = Body::default();
    let (least, body) = match &*stmt.kind {
        StmtKind::Value(_) | StmtKind::Assert { .. } => (Least::default(), &none),
        StmtKind::Inspect(_) | StmtKind::Run(_) | StmtKind::Train(_) | StmtKind::Evaluate(_) => {
            (Least { chain: 1, steps: 1 }, &none)
        }
        // How many trials there are is up to the strategy; one at least.
        StmtKind::Search(search) => match &search.trial {
            Trial::Train(_) => (Least { chain: 1, steps: 1 }, &none),
            Trial::Steps { body, .. } => (of_body(body, report), body),
        },
        StmtKind::For { list, body, .. } => {
            let of = of_body(body, report);
            match list {
                Expr::Const(Value::List(items)) => {
                    let items = items.len() as u64;
                    let chain = if items == 0 { 0 } else { of.chain };
                    (Least { chain, steps: of.steps.saturating_mul(items) }, body)
                }
                _ => (Least::default(), body),
            }
        }
        StmtKind::If { then, otherwise, .. } => {
            let then = of_body(then, report);
            let otherwise = otherwise.as_ref().map_or(Least::default(), |body| of_body(body, report));
            (Least { chain: then.chain.min(otherwise.chain), steps: then.steps.min(otherwise.steps) }, &none)
        }
        StmtKind::Group(body) => (of_body(body, report), body),
        // What is tried may fail with its first step.
        StmtKind::Try { body, catches } => {
            of_body(body, report);
            for catch in catches {
                of_body(&catch.body, report);
            }
            (Least::default(), &none)
        }
        StmtKind::Repeat { times, cond, body, .. } => {
            let of = of_body(body, report);
            match times {
                Expr::Const(Value::Int(times)) if cond.is_none() => {
                    let times = u64::try_from(*times).unwrap_or(0);
                    let times = |steps: u64| steps.saturating_mul(times);
                    (Least { chain: times(of.chain), steps: times(of.steps) }, body)
                }
                _ => (Least::default(), body),
            }
        }
        // Its own limits were told of where it stands.
        StmtKind::Call { workflow, .. } => (of_body(&workflow.body, &mut |_| {}), &workflow.body),
    };
    if let Some(limits) = &stmt.limits {
        judge(limits, least, stmt.span, body, report);
    }
    least
}

/// The statements on the longest way through a body, so many as a message can hold.
fn path(body: &Body) -> Vec<(Span, String)> {
    let own: Vec<u64> = body.stmts.iter().map(|stmt| of_stmt(stmt, &mut |_| {}).chain).collect();
    let until = chains(body, |index| own[index]);
    let mut at = (0..until.len()).max_by_key(|index| (until[*index], std::cmp::Reverse(*index)));
    let mut found = Vec::new();
    while let Some(index) = at {
        let stmt = &body.stmts[index];
        if own[index] > 0 {
            let plural = if own[index] == 1 { "" } else { "s" };
            found.push((stmt.span, format!("{} step{plural}", own[index])));
        }
        let waits = stmt.reads().into_iter().chain(stmt.after.iter().copied());
        let before: Vec<usize> =
            waits.filter_map(|var| body.stmts[..index].iter().rposition(|stmt| stmt.var == var)).collect();
        at = before.into_iter().max_by_key(|index| until[*index]);
    }
    found.reverse();
    found.truncate(SHOWN);
    found
}

/// The statements of a path that are shown.
const SHOWN: usize = 5;
