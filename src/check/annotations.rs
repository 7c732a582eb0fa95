//! Annotations: limits, and what a parameter may be.

use super::{Checker, scope::Place};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    limits::{Amount, Budget, Caching, Deadline, Limits, Memory, OnMiss, Retry},
    source::Span,
    syntax::ast::{Annotation, Arg, ExprKind},
    types::Type,
    units::{Duration, Money, Percent},
    value::Value,
    wire::{Goal, Kind},
};

const KNOWN: [&str; 14] = [
    "deadline",
    "budget",
    "goal",
    "retry",
    "timeout",
    "cache",
    "seed",
    "range",
    "one_of",
    "resources",
    "max_parallel",
    "secret",
    "stub",
    "memory",
];

/// What an annotation stands above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A workflow.
    Workflow,
    /// A task.
    Task,
    /// One step.
    Step,
    /// A statement with statements inside, or a search.
    Scope,
}

/// The deadline and the budget that hold at a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    deadline: Option<Duration>,
    budget: Option<Amount>,
}

impl Around {
    /// What holds inside a scope with limits of its own.
    pub fn inside(self, limits: &Limits) -> Self {
        Self {
            deadline: limits.deadline.as_ref().map(|deadline| deadline.after).or(self.deadline),
            budget: limits.budget.as_ref().map(|budget| budget.amount).or(self.budget),
        }
    }
}

impl Target {
    fn allows(self, name: &str) -> bool {
        match name {
            "deadline" | "budget" | "goal" | "seed" => self != Self::Task,
            "retry" | "timeout" | "cache" | "resources" => true,
            "max_parallel" => matches!(self, Self::Scope | Self::Workflow),
            _ => false,
        }
    }
}

impl Checker {
    /// Reports annotations where none can be.
    pub(super) fn no_annotations(&mut self, annotations: &[Annotation], what: &str) {
        for annotation in annotations {
            self.misplaced(annotation, what);
        }
    }

    pub(super) fn misplaced(&mut self, annotation: &Annotation, what: &str) {
        let name = &annotation.name.node;
        let diagnostic = if KNOWN.contains(&&**name) {
            let home = match &**name {
                "range" | "one_of" => "a parameter of a workflow",
                "secret" => "a parameter of a workflow or a task",
                "stub" => "a `test`",
                "max_parallel" => "a workflow, a `for`, a `group` or a `search`",
                "deadline" | "budget" | "goal" | "seed" => "a workflow, a step or a `group`",
                _ => "a workflow, a task or a step",
            };
            Diagnostic::new(Code::E0205, annotation.span, format!("`@{name}` does not belong above {what}"))
                .help(format!("it belongs above {home}"))
        } else {
            let near = similar(name, KNOWN).map(|name| format!("did you mean `@{name}`?"));
            Diagnostic::new(Code::E0205, annotation.span, format!("there is no annotation `@{name}`")).maybe_help(near)
        };
        self.report(diagnostic.label("does not apply"));
    }

    /// The limits that annotations state.
    pub(super) fn limits(&mut self, place: &mut Place, annotations: &[Annotation], target: Target) -> Limits {
        let mut limits = Limits::default();
        for (index, annotation) in annotations.iter().enumerate() {
            let name = &*annotation.name.node;
            if let Some(first) = annotations[..index].iter().find(|first| first.name.node == annotation.name.node) {
                self.report(
                    Diagnostic::new(Code::E0205, annotation.span, format!("`@{name}` is given twice"))
                        .label("given again here")
                        .related(first.span, "first given here"),
                );
                continue;
            }
            if !target.allows(name) {
                let what = match target {
                    Target::Workflow => "a workflow",
                    Target::Task => "a task",
                    Target::Step => "a step",
                    Target::Scope => "this statement",
                };
                self.misplaced(annotation, what);
                continue;
            }
            let mut args = Args { annotation, position: 0, taken: Vec::new() };
            match name {
                "deadline" => {
                    let after = args.required(self, place, "after", &Type::Duration);
                    let (on_miss, warn_at) = (self.on_miss(&mut args), self.warn_at(place, &mut args));
                    if let Some((Value::Duration(after), span)) = after {
                        if after <= Duration::ZERO {
                            self.out_of_range(span, "a deadline must be later than now");
                        }
                        self.wider_deadline(place.around, after, span);
                        limits.deadline = Some(Deadline { after, on_miss, warn_at });
                    }
                }
                "budget" => limits.budget = self.budget(place, &mut args, target),
                "timeout" => {
                    if let Some((Value::Duration(after), span)) = args.required(self, place, "after", &Type::Duration) {
                        if after <= Duration::ZERO {
                            self.out_of_range(span, "a timeout must be longer than nothing");
                        }
                        limits.timeout = Some(after);
                    }
                }
                "retry" => limits.retry = self.retry(place, &mut args),
                "cache" => limits.cache = self.caching(place, &mut args),
                "seed" => {
                    if let Some((Value::Int(seed), _)) = args.required(self, place, "seed", &Type::Int) {
                        limits.seed = Some(seed as u64);
                    }
                }
                "goal" => limits.goal = self.goal(&mut args),
                "max_parallel" => {
                    if let Some((Value::Int(count), span)) = args.required(self, place, "n", &Type::Int) {
                        match u32::try_from(count).ok().filter(|count| *count > 0) {
                            Some(count) => limits.max_parallel = Some(count),
                            None => self.out_of_range(span, "at least one must be allowed to run"),
                        }
                    }
                }
                "resources" if annotation.args.is_empty() => self.report(
                    Diagnostic::new(Code::E0202, annotation.span, "`@resources` needs a `memory` or a `cpu`")
                        .help("write it like `@resources(memory: 4GiB, cpu: 2)`"),
                ),
                "resources" => {
                    if let Some((Value::Size(memory), _)) = args.optional(self, place, "memory", &Type::Size) {
                        limits.memory = Some(Memory::Exactly(memory));
                    }
                    if let Some((Value::Float(cpu), span)) = args.optional(self, place, "cpu", &Type::Float) {
                        if cpu.is_nan() || cpu <= 0.0 {
                            self.out_of_range(span, "a step needs some processor");
                        }
                        limits.cpu = Some(cpu);
                    }
                }
                // What else there is belongs elsewhere.
                _ => {}
            }
            args.finish(self);
        }
        limits
    }

    fn budget(&mut self, place: &mut Place, args: &mut Args, target: Target) -> Option<Budget> {
        let Some(given) = args.find("amount") else {
            self.report(
                Diagnostic::new(Code::E0202, args.annotation.span, "`@budget` needs a Money or a Percent")
                    .help("write it like `@budget($5)`, or `@budget(50%)` for a share of the budget around it"),
            );
            return None;
        };
        let (_, ty) = self.expr(place, &given.value, None);
        let wanted = if ty == Type::Percent { Type::Percent } else { Type::Money };
        let span = given.value.span;
        let amount = match self.constant(place, &given.value, &wanted) {
            Some(Value::Percent(share)) => {
                if share <= Percent::new(0.into()) {
                    self.out_of_range(span, "a budget must be more than nothing");
                }
                if share > Percent::new(100.into()) {
                    self.out_of_range(span, "a scope can't have more than the whole of the budget around it");
                }
                // A workflow's own budget may be a share of what the one that runs it has.
                if place.around.budget.is_none() && target != Target::Workflow {
                    self.report(
                        Diagnostic::new(
                            Code::W1004,
                            span,
                            format!("there is no budget of which this could be {share}"),
                        )
                        .label("a share of nothing")
                        .help("set one around it, such as `@budget($5)` above the workflow, or write an amount here"),
                    );
                }
                Some(Amount::Share(share))
            }
            Some(Value::Money(money)) => {
                if money <= Money::ZERO {
                    self.out_of_range(span, "a budget must be more than nothing");
                }
                self.wider_budget(place.around, money, span);
                Some(Amount::Money(money))
            }
            _ => None,
        };
        let on_miss = self.on_miss(args);
        let warn_at = self.warn_at(place, args);
        Some(Budget { amount: amount?, on_miss, warn_at })
    }

    /// The shares of a limit at which to warn.
    fn warn_at(&mut self, place: &mut Place, args: &mut Args) -> Vec<Percent> {
        let Some((Value::List(shares), span)) = args.optional(self, place, "warn_at", &Type::Percent.list()) else {
            return Vec::new();
        };
        let share = |share: Value| match share {
            Value::Percent(share) => Some(share),
            _ => None,
        };
        let shares: Vec<Percent> = shares.into_iter().filter_map(share).collect();
        if shares.iter().any(|share| *share <= Percent::new(0.into()) || *share >= Percent::new(100.into())) {
            self.out_of_range(span, "a warning comes between nothing and the whole of a limit");
        }
        shares
    }

    /// Warns of a deadline that is wider than the one around it: it can't widen anything.
    fn wider_deadline(&mut self, around: Around, after: Duration, span: Span) {
        if let Some(wider) = around.deadline.filter(|around| after > *around) {
            self.report(
                Diagnostic::new(
                    Code::W1001,
                    span,
                    format!("the deadline of {after} is wider than the {wider} around it"),
                )
                .label("can't last that long")
                .help("a nested deadline can only tighten the one around it"),
            );
        }
    }

    /// The same for a budget.
    fn wider_budget(&mut self, around: Around, own: Money, span: Span) {
        if let Some(Amount::Money(around)) = around.budget
            && own > around
        {
            self.report(
                Diagnostic::new(Code::W1001, span, format!("the budget of {own} is wider than the {around} around it"))
                    .label("can't spend that much")
                    .help("a nested budget can only tighten the one around it"),
            );
        }
    }

    fn retry(&mut self, place: &mut Place, args: &mut Args) -> Option<Retry> {
        let max = args.required(self, place, "max", &Type::Int);
        let mut number = |this: &mut Self, name| match args.optional(this, place, name, &Type::Float) {
            Some((Value::Float(number), span)) => Some((number, span)),
            _ => None,
        };
        let factor = number(self, "factor");
        let memory = number(self, "memory");
        let backoff = match args.optional(self, place, "backoff", &Type::Duration) {
            Some((Value::Duration(backoff), _)) => backoff,
            _ => Duration::from_millis(1000),
        };
        let jitter = !matches!(args.optional(self, place, "jitter", &Type::Bool), Some((Value::Bool(false), _)));
        let on = args.kinds(self, "on");
        if let Some((factor, span)) = factor
            && !(1.0..=100.0).contains(&factor)
        {
            self.out_of_range(span, "a wait grows by a factor from 1 to 100");
        }
        if let Some((memory, span)) = memory {
            if !(memory > 1.0 && memory <= 100.0) {
                self.out_of_range(span, "memory grows by a factor above 1, up to 100");
            }
            if !on.is_empty() && !on.contains(&Kind::OutOfMemory) {
                self.report(
                    Diagnostic::new(Code::E0202, span, "`memory` is for `OutOfMemory`, which `on` leaves out")
                        .label("never used")
                        .help("write `on: [OutOfMemory]`, or leave `on` out to retry every kind"),
                );
            }
        }
        match max {
            Some((Value::Int(max), span)) => match u32::try_from(max).ok().filter(|max| *max <= 1000) {
                Some(max) => {
                    let factor = factor.map_or(2.0, |(factor, _)| factor);
                    Some(Retry { max, backoff, factor, jitter, on, memory: memory.map(|(memory, _)| memory) })
                }
                None => {
                    self.out_of_range(span, "a step can be retried 0 to 1000 times");
                    None
                }
            },
            _ => None,
        }
    }

    /// Whether results of earlier runs may serve.
    fn caching(&mut self, place: &mut Place, args: &mut Args) -> Option<Caching> {
        if args.annotation.args.is_empty() {
            self.report(
                Diagnostic::new(Code::E0202, args.annotation.span, "`@cache` needs `on`, `off` or a Duration")
                    .help("write it like `@cache(off)`, or `@cache(7d)` for results that are no older"),
            );
        }
        let arg = args.next()?;
        match &arg.value.kind {
            ExprKind::Name(name) if &**name == "on" => Some(Caching::On),
            ExprKind::Name(name) if &**name == "off" => Some(Caching::Off),
            _ => match self.age(place, arg)? {
                Value::Duration(age) if age <= Duration::ZERO => {
                    self.out_of_range(arg.value.span, "no result is as young as that; `@cache(off)` lets none serve");
                    None
                }
                Value::Duration(age) => Some(Caching::Within(age)),
                _ => None,
            },
        }
    }

    /// How old a result may be.
    fn age(&mut self, place: &mut Place, arg: &Arg) -> Option<Value> {
        let (_, ty) = self.expr(place, &arg.value, None);
        if matches!(ty, Type::Duration | Type::Unknown) {
            return self.constant(place, &arg.value, &Type::Duration);
        }
        self.report(
            Diagnostic::new(Code::E0202, arg.value.span, "`@cache` takes `on`, `off` or a Duration")
                .label("none of them")
                .help("write it like `@cache(off)`, or `@cache(7d)` for results that are no older"),
        );
        None
    }

    /// What trainings are to make least of.
    fn goal(&mut self, args: &mut Args) -> Option<Goal> {
        let example = "write it like `@goal(min_cost)`";
        let Some(arg) = args.next() else {
            let message = "`@goal` needs `min_cost`, `min_time` or `balanced`";
            self.report(Diagnostic::new(Code::E0202, args.annotation.span, message).help(example));
            return None;
        };
        let name = match &arg.value.kind {
            ExprKind::Name(name) => &**name,
            _ => "",
        };
        let found = Goal::ALL.into_iter().find(|(choice, _)| *choice == name);
        if found.is_none() {
            let near = similar(name, Goal::ALL.map(|(choice, _)| choice)).map(|near| format!("did you mean `{near}`?"));
            self.report(
                Diagnostic::new(Code::E0202, arg.value.span, "a goal is `min_cost`, `min_time` or `balanced`")
                    .label("none of them")
                    .maybe_help(near),
            );
        }
        found.map(|(_, goal)| goal)
    }

    fn on_miss(&mut self, args: &mut Args) -> Option<OnMiss> {
        let arg = args.named("on_miss")?;
        let choices = [
            ("fail", OnMiss::Fail),
            ("keep_best", OnMiss::KeepBest),
            ("finish", OnMiss::Finish),
            ("skip", OnMiss::Skip),
        ];
        let name = match &arg.value.kind {
            ExprKind::Name(name) => &**name,
            _ => "",
        };
        let found = choices.into_iter().find(|(choice, _)| *choice == name);
        if found.is_none() {
            self.report(
                Diagnostic::new(Code::E0202, arg.value.span, "`on_miss` is `fail`, `keep_best`, `finish` or `skip`")
                    .label("none of them"),
            );
        }
        found.map(|(_, on_miss)| on_miss)
    }

    /// The kind of failure that a name stands for.
    pub(super) fn failure_kind(&mut self, name: &str, span: Span) -> Option<Kind> {
        let kind = name.parse().ok();
        if kind.is_none() {
            let near = similar(name, Kind::ALL.iter().map(|kind| kind.name()));
            let help = near.map_or_else(
                || format!("there are {}", Kind::ALL.map(|kind| format!("`{kind}`")).join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            self.report(
                Diagnostic::new(Code::E0101, span, "this is not a kind of failure").label("unknown kind").help(help),
            );
        }
        kind
    }

    pub(super) fn out_of_range(&mut self, span: Span, message: &str) {
        self.report(Diagnostic::new(Code::E0304, span, message).label("out of range"));
    }
}

/// The arguments of one annotation, taken one by one.
struct Args<'a> {
    annotation: &'a Annotation,
    position: usize,
    taken: Vec<usize>,
}

impl<'a> Args<'a> {
    fn named(&mut self, name: &str) -> Option<&'a Arg> {
        let args = &self.annotation.args;
        let index = args.iter().position(|arg| arg.name.as_ref().is_some_and(|given| &*given.node == name))?;
        self.taken.push(index);
        Some(&args[index])
    }

    /// By name, or else the next one without a name.
    fn find(&mut self, name: &str) -> Option<&'a Arg> {
        self.named(name).or_else(|| self.next())
    }

    /// The next one without a name.
    fn next(&mut self) -> Option<&'a Arg> {
        let index = self.position;
        let arg = self.annotation.args.get(index).filter(|arg| arg.name.is_none() && !arg.spread)?;
        self.position += 1;
        self.taken.push(index);
        Some(arg)
    }

    fn optional(&mut self, checker: &mut Checker, place: &mut Place, name: &str, ty: &Type) -> Option<(Value, Span)> {
        let arg = self.named(name)?;
        Some((checker.constant(place, &arg.value, ty)?, arg.value.span))
    }

    fn required(&mut self, checker: &mut Checker, place: &mut Place, name: &str, ty: &Type) -> Option<(Value, Span)> {
        let Some(arg) = self.find(name) else {
            let annotation = &self.annotation.name.node;
            let example = match &**annotation {
                "deadline" => "@deadline(2h)",
                "timeout" => "@timeout(5min)",
                "retry" => "@retry(max: 2)",
                "seed" => "@seed(7)",
                "max_parallel" => "@max_parallel(4)",
                _ => "@budget($5)",
            };
            checker.report(
                Diagnostic::new(
                    Code::E0202,
                    self.annotation.span,
                    format!("`@{annotation}` needs {} {ty}", if *ty == Type::Int { "an" } else { "a" }),
                )
                .help(format!("write it like `{example}`")),
            );
            return None;
        };
        Some((checker.constant(place, &arg.value, ty)?, arg.value.span))
    }

    fn kinds(&mut self, checker: &mut Checker, name: &str) -> Vec<Kind> {
        let Some(arg) = self.named(name) else { return Vec::new() };
        let ExprKind::List(items) = &arg.value.kind else {
            checker.report(
                Diagnostic::new(Code::E0201, arg.value.span, "expected a list of kinds of failure")
                    .help("write it like `on: [WorkerLost, Timeout]`"),
            );
            return Vec::new();
        };
        let mut kinds = Vec::new();
        for item in items {
            let name = match &item.kind {
                ExprKind::Name(name) => &**name,
                _ => "",
            };
            kinds.extend(checker.failure_kind(name, item.span));
        }
        kinds
    }

    fn finish(self, checker: &mut Checker) {
        for (index, arg) in self.annotation.args.iter().enumerate() {
            if !self.taken.contains(&index) {
                let span = arg.name.as_ref().map_or(arg.value.span, |name| name.span);
                let name = &self.annotation.name.node;
                checker.report(
                    Diagnostic::new(Code::E0202, span, format!("`@{name}` has no such parameter")).label("unknown"),
                );
            }
        }
    }
}
