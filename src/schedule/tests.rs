//! The scheduler on virtual time: random graphs, durations, failures and limits, and what must hold of every run.

mod elastic;
mod packing;

use super::*;
use crate::{
    expr::{Expr, Native, Var},
    graph::{self, Catch, Edge, Node, NodeKind, Param, Region, Run, Script, Task, Trial},
    limits::{Amount, Budget, Deadline, Limits, Memory, OnMiss, Retry},
    source::{FileId, Span, Spanned},
    types::Type,
    units::{Duration, Money, Size},
    value::{Call, Value},
    wire::{Done, Failure, Kind, Op},
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::{collections::BTreeMap, sync::Arc};

const SPAN: Span = Span::new(FileId(0), 0, 0);

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms)
}

fn result(expr: Expr) -> Option<Spanned<Expr>> {
    Some(Spanned::new(expr, SPAN))
}

/// A workflow of commands, whose outcomes are made up by the test. The variable of node `i` is `10 + i`.
fn graph(nodes: &[(NodeKind, Vec<usize>, Limits)], limits: Limits) -> Graph {
    Graph {
        workflow: "main".into(),
        file: "test.smlt".into(),
        doc: None,
        params: Vec::new(),
        limits,
        output: Type::Int,
        secrets: Default::default(),
        root: region("main", 10, nodes),
        span: SPAN,
    }
}

fn region(path: &str, first: u32, nodes: &[(NodeKind, Vec<usize>, Limits)]) -> Region {
    let mut region = Region::default();
    for (index, (kind, after, limits)) in nodes.iter().enumerate() {
        let name: Name = format!("n{index}").into();
        let node = region.dag.add_node(Node {
            path: format!("{path}/{name}"),
            name,
            var: Var(first + index as u32),
            kind: kind.clone(),
            limits: limits.clone(),
            line: 1,
            span: SPAN,
        });
        for before in after {
            region.dag.add_edge(NodeIndex::new(*before), node, Edge::Order);
        }
    }
    region.measure();
    region
}

fn command(name: &str) -> NodeKind {
    NodeKind::Run(Box::new(Run {
        task: Arc::new(Task {
            name: name.into(),
            declared: SPAN,
            params: Vec::new(),
            script: Script::Args(Expr::List(Vec::new())),
            env: Vec::new(),
            secrets: Vec::new(),
            output: Type::Int,
        }),
        args: Vec::new(),
    }))
}

/// A machine with so many processors, and memory enough for a usual step on each.
fn machine(cpus: usize) -> Capacity {
    Capacity::new(cpus, Size::from_mib(2048 * cpus as u64))
}

fn options(cpus: usize) -> Options {
    let capacity = machine(cpus);
    let prices = Prices::embedded();
    Options {
        seed: Seed::new(1),
        enforce: true,
        prices,
        run_id: "test".into(),
        capacity,
        workers: None,
        plan: Plan::default(),
    }
}

/// What the world does with an attempt.
#[derive(Clone, Debug)]
struct Fate {
    takes: i64,
    fails: Option<Kind>,
}

/// A world on virtual time: every attempt has a fate, told by its step and number.
struct World<'f> {
    fate: &'f dyn Fn(&Attempt) -> Fate,
    /// How long a stopped attempt takes to die.
    lag: i64,
}

/// What a simulated run was.
#[derive(Debug, Default)]
struct History {
    log: Vec<(Time, Event)>,
    /// Start and end of each attempt.
    attempts: BTreeMap<Attempt, (Time, Option<Time>)>,
    launches: Vec<(Time, Launch)>,
    notices: Vec<(Time, Notice)>,
    verdict: Option<Verdict>,
    ended: Time,
    most_running: usize,
}

impl History {
    fn value(&self) -> &Value {
        match &self.verdict {
            Some(Verdict::Succeeded { value, .. }) => value,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> (&str, Kind) {
        match &self.verdict {
            Some(Verdict::Failed { step, failure, .. }) => (&step.0, failure.kind),
            other => panic!("{other:?}"),
        }
    }

    fn spent(&self) -> Money {
        let total = |(_, notice): &(Time, Notice)| match notice {
            Notice::Spent { total } => Some(*total),
            _ => None,
        };
        self.notices.iter().rev().find_map(total).unwrap_or_default()
    }

    fn started(&self, step: &str) -> Option<Time> {
        self.attempts.iter().filter(|(attempt, _)| &*attempt.step.0 == step).map(|(_, (start, _))| *start).min()
    }

    fn ended(&self, step: &str) -> Option<Time> {
        self.attempts.iter().filter(|(attempt, _)| &*attempt.step.0 == step).filter_map(|(_, (_, end))| *end).max()
    }
}

/// What comes between a run and its end, right after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// The program and its workers are killed, and the run is resumed from its log.
    Kill,
    /// The user stops the run, and resumes it later.
    Cancel,
}

/// Runs a workflow to its end; `cancel` is when the user has had enough.
fn simulate(graph: &Graph, options: Options, world: &World, cancel: Option<i64>) -> History {
    simulate_interrupted(graph, options, world, cancel, &BTreeMap::new())
}

/// What a stopped attempt reports.
fn stopped(attempt: Attempt) -> Event {
    Event::Failed(attempt, Failure::new(Kind::WorkerLost, "stopped"), ms(0))
}

fn was_stopped(event: &Event) -> bool {
    matches!(event, Event::Failed(_, failure, _) if failure.message == "stopped")
}

/// Runs a workflow to its end, through interruptions by the number of events before each. What is begun again after one
/// needs what was left of its time, as a training does that goes on from a checkpoint.
fn simulate_interrupted(
    graph: &Graph,
    options: Options,
    world: &World,
    cancel: Option<i64>,
    interruptions: &BTreeMap<usize, Interruption>,
) -> History {
    let machine = options.capacity;
    // What each attempt under way declares.
    let mut held: BTreeMap<Attempt, (f64, Size)> = BTreeMap::new();
    let mut scheduler = Scheduler::new(graph, Fields::new(), options.clone());
    let mut history = History::default();
    // What was to come of the attempts that were cut off, and how many of each step's were.
    let mut cut_off: BTreeMap<StepPath, ((Time, u64), Event)> = BTreeMap::new();
    let mut cuts: BTreeMap<StepPath, u32> = BTreeMap::new();
    // What will happen, by time and by the order in which it came up.
    let mut coming: BTreeMap<(Time, u64), Event> = BTreeMap::from([((Time::default(), 0), Event::Begin)]);
    if let Some(cancel) = cancel {
        coming.insert((Time(ms(cancel)), 1), Event::Cancel);
    }
    let mut order = 1;
    let mut wake = None;
    for _ in 0..100_000 {
        let Some(((now, _), event)) = coming.pop_first() else { panic!("the run neither ends nor goes on") };
        history.log.push((now, event.clone()));
        // What fails while nothing more is to begin is done again, and counts as none.
        if let Event::Failed(attempt, ..) = &event
            && scheduler.draining
            && !was_stopped(&event)
        {
            *cuts.entry(attempt.step.clone()).or_default() += 1;
        }
        if let Event::Done(attempt, _) | Event::Failed(attempt, ..) = &event
            && let Some((_, end)) = history.attempts.get_mut(attempt)
        {
            end.get_or_insert(now);
            held.remove(attempt);
        }
        for action in scheduler.step(now, event) {
            order += 1;
            match action {
                Action::Start(launch) => {
                    let attempt = launch.attempt.clone();
                    assert!(history.attempts.insert(attempt.clone(), (now, None)).is_none(), "an attempt starts once");
                    if let Some((when, mut event)) = cut_off.remove(&attempt.step) {
                        if let Event::Done(again, _) | Event::Failed(again, ..) = &mut event {
                            *again = attempt;
                        }
                        coming.insert((when.0.max(now), when.1), event);
                        held.insert(launch.attempt.clone(), (launch.cpu, launch.memory_limit.unwrap_or_default()));
                        history.launches.push((now, *launch));
                        continue;
                    }
                    let cut = cuts.get(&attempt.step).copied().unwrap_or(0);
                    let Fate { takes, fails } =
                        (world.fate)(&Attempt { number: attempt.number - cut, ..attempt.clone() });
                    let takes = launch.timeout.map_or(takes, |timeout| takes.min(timeout.millis()));
                    let timed_out = launch.timeout.is_some_and(|timeout| takes == timeout.millis());
                    let event = match fails {
                        _ if timed_out => {
                            Event::Failed(attempt.clone(), Failure::new(Kind::Timeout, "late"), ms(takes))
                        }
                        Some(kind) => Event::Failed(attempt.clone(), Failure::new(kind, "made up"), ms(takes)),
                        None => {
                            let output = Value::Int(takes);
                            Event::Done(attempt.clone(), Box::new(Done { output, trained: None, elapsed: ms(takes) }))
                        }
                    };
                    coming.insert((now.after(ms(takes)), order), event);
                    held.insert(launch.attempt.clone(), (launch.cpu, launch.memory_limit.unwrap_or_default()));
                    history.launches.push((now, *launch));
                }
                Action::Stop(attempt) => {
                    coming
                        .retain(|_, event| !matches!(event, Event::Done(a, _) | Event::Failed(a, ..) if *a == attempt));
                    coming.insert((now.after(ms(world.lag)), order), stopped(attempt));
                }
                Action::WakeAt(at) => {
                    if let Some(before) = wake.replace((at, order)) {
                        coming.remove(&before);
                    }
                    coming.insert((at, order), Event::Tick);
                }
                Action::Note(notice) => {
                    if !interruptions.is_empty()
                        && let Notice::Stopping { .. } = notice
                    {
                        // Half of the steps stop at a checkpoint, the others come to their end.
                        let stops = |event: &Event| match event {
                            Event::Done(attempt, _) | Event::Failed(attempt, ..) if !was_stopped(event) => {
                                Some(attempt.clone())
                                    .filter(|attempt| Seed::new(3).child(&attempt.step).get().is_multiple_of(2))
                            }
                            _ => None,
                        };
                        for (when, event) in coming.clone() {
                            let Some(attempt) = stops(&event) else { continue };
                            coming.remove(&when);
                            *cuts.entry(attempt.step.clone()).or_default() += 1;
                            cut_off.insert(attempt.step.clone(), (when, event));
                            coming.insert((now.after(ms(world.lag)), when.1), stopped(attempt));
                        }
                    }
                    history.notices.push((now, notice));
                }
                Action::Finish(verdict) => {
                    assert!(history.verdict.replace(verdict).is_none(), "a run ends once");
                    history.ended = now;
                }
            }
        }
        history.most_running = history.most_running.max(scheduler.running());
        let cpus: f64 = held.values().map(|(cpus, _)| cpus).sum();
        assert!(cpus <= machine.cpus.to_f64() + 1e-9, "more processors than there are: {held:?}");
        let memory: u64 = held.values().map(|(_, memory)| memory.bytes()).sum();
        assert!(memory <= machine.memory.bytes(), "more memory than there is: {held:?}");
        let interruption = interruptions.get(&history.log.len()).filter(|_| history.verdict.is_none());
        if interruption == Some(&Interruption::Cancel) {
            coming.insert((now, 0), Event::Cancel);
        }
        let cancelled = history.verdict == Some(Verdict::Cancelled) && !interruptions.is_empty();
        if cancelled || interruption == Some(&Interruption::Kill) {
            let log = history.log.iter().cloned();
            scheduler = Scheduler::replay(graph, Fields::new(), options.clone(), log, &mut |_, _| {});
            history.verdict = None;
            held.clear();
            for (when, event) in std::mem::take(&mut coming) {
                if let Event::Done(attempt, _) | Event::Failed(attempt, ..) = &event
                    && !was_stopped(&event)
                {
                    let step = attempt.step.clone();
                    *cuts.entry(step.clone()).or_default() += 1;
                    cut_off.insert(step, (when, event));
                }
            }
            wake = None;
            coming.insert((now, 0), Event::Resume);
        }
        if history.verdict.is_some() {
            assert_eq!(scheduler.running(), 0, "nothing is under way when the run ends");
            return history;
        }
    }
    panic!("the run takes too many steps");
}

fn always(takes: i64) -> impl Fn(&Attempt) -> Fate {
    move |_| Fate { takes, fails: None }
}

fn run(graph: &Graph, slots: usize, fate: &dyn Fn(&Attempt) -> Fate) -> History {
    simulate(graph, options(slots), &World { fate, lag: 0 }, None)
}

fn deadline(after: i64, on_miss: Option<OnMiss>) -> Limits {
    Limits { deadline: Some(Deadline { after: ms(after), on_miss, warn_at: Vec::new() }), ..Limits::default() }
}

fn budget(dollars: &str, on_miss: Option<OnMiss>) -> Limits {
    let amount = Amount::Money(dollars.parse().unwrap());
    Limits { budget: Some(Budget { amount, on_miss, warn_at: vec!["50%".parse().unwrap()] }), ..Limits::default() }
}

fn retry(max: u32, on: &[Kind]) -> Limits {
    let retry = Retry { max, backoff: ms(1000), factor: 2.0, jitter: false, on: on.to_vec(), memory: None };
    Limits { retry: Some(retry), ..Limits::default() }
}

fn plain(after: &[usize]) -> (NodeKind, Vec<usize>, Limits) {
    (command("c"), after.to_vec(), Limits::default())
}

#[test]
fn a_diamond_runs_as_wide_as_it_may() {
    let diamond = graph(&[plain(&[]), plain(&[0]), plain(&[0]), plain(&[1, 2])], Limits::default());
    assert_eq!(run(&diamond, 2, &always(100)).ended, Time(ms(300)));
    assert_eq!(run(&diamond, 1, &always(100)).ended, Time(ms(400)));
}

#[test]
fn a_workflow_without_steps_is_over_at_once() {
    let mut empty = graph(&[], Limits::default());
    empty.root.result = result(Expr::Const(Value::Int(7)));
    assert_eq!(run(&empty, 1, &always(1)).value(), &Value::Int(7));
}

#[test]
fn a_result_reads_outcomes_and_the_run() {
    let mut graph = graph(&[plain(&[]), plain(&[0])], Limits::default());
    let sum = Expr::native(Native::Add, vec![Expr::Var(Var(10)), Expr::Var(Var(11))]);
    graph.root.result = result(Expr::List(vec![sum, Expr::Context(crate::expr::Context::Elapsed)]));
    let history = run(&graph, 1, &always(100));
    assert_eq!(history.value(), &Value::List(vec![Value::Int(200), Value::Duration(ms(200))]));
}

#[test]
fn a_for_keeps_the_order_of_its_list_and_its_own_limit() {
    let mut body = region("main/n0", 20, &[plain(&[])]);
    body.result = result(Expr::native(Native::Mul, vec![Expr::Var(Var(99)), Expr::Const(Value::Int(2))]));
    let list = Expr::Const(Value::List((0..50).map(Value::Int).collect()));
    let each = NodeKind::For { item: Var(99), list, body: Box::new(body) };
    let limits = Limits { max_parallel: Some(3), ..Limits::default() };
    let mut graph = graph(&[(each, vec![], limits)], Limits::default());
    graph.root.result = result(Expr::Var(Var(10)));
    // Later items are quicker.
    let fate = |attempt: &Attempt| {
        let item: i64 = attempt.step.0.split(['[', ']']).nth(1).unwrap().parse().unwrap();
        Fate { takes: 1000 - item * 10, fails: None }
    };
    let history = run(&graph, 8, &fate);
    assert_eq!(history.value(), &Value::List((0..50).map(|item| Value::Int(item * 2)).collect()));
    assert_eq!(history.most_running, 3);
}

#[test]
fn an_item_that_would_only_wait_does_not_begin() {
    // The workflow lets one attempt run at a time, so the others' deadlines must not pass while they wait for it.
    let mut body = region("main/n0", 20, &[(command("c"), vec![], deadline(150, Some(OnMiss::Skip)))]);
    body.result = result(Expr::Var(Var(20)));
    let list = Expr::Const(Value::List((0..4).map(Value::Int).collect()));
    let kind = NodeKind::For { item: Var(99), list, body: Box::new(body) };
    let limits = Limits { max_parallel: Some(1), ..Limits::default() };
    let history = simulate(
        &graph(&[(kind, vec![], Limits::default())], limits),
        options(4),
        &World { fate: &always(100), lag: 0 },
        None,
    );
    assert!(matches!(&history.verdict, Some(Verdict::Succeeded { marks, .. }) if marks.is_empty()));
    assert_eq!(history.attempts.len(), 4);
    assert_eq!(history.ended, Time(ms(400)));
}

#[test]
fn what_was_stopped_is_paid_for_where_it_ran() {
    let group = NodeKind::Group(Box::new(region("main/n0", 20, &[plain(&[])])));
    let graph = graph(&[(group, vec![], deadline(1000, Some(OnMiss::Skip)))], Limits::default());
    let history = run(&graph, 1, &always(60_000));
    let cost = history.notices.iter().find_map(|(_, notice)| match notice {
        Notice::StepDone { step, cost, .. } if &*step.0 == "main/n0" => Some(*cost),
        _ => None,
    });
    assert_eq!(cost, Some(history.spent()));
    assert!(history.notices.iter().any(|(_, notice)| matches!(notice, Notice::StepStopped { .. })));
}

#[test]
fn a_trial_that_is_stopped_is_paid_for_and_makes_room() {
    let search = search(1, region("main/n0/trial", 20, &[plain(&[])]));
    let limits = Limits { max_parallel: Some(1), ..Limits::default() };
    let graph = graph(&[(search, vec![], deadline(1000, Some(OnMiss::Skip))), plain(&[0])], limits);
    let history = run(&graph, 1, &always(60_000));
    // The step after the search could begin, and the run has paid for both.
    assert_eq!(history.launches.len(), 2);
    let rate = Prices::embedded().rate(Size::from_mib(1024));
    assert!(history.spent() > rate.checked_mul(Decimal::new(60_500, 3)).unwrap(), "{}", history.spent());
}

#[test]
fn a_million_items_are_entered_one_by_one() {
    let body = region("main/n0", 20, &[plain(&[])]);
    let list = Expr::Const(Value::List(vec![Value::None; 1_000_000]));
    let each = NodeKind::For { item: Var(99), list, body: Box::new(body) };
    let graph = graph(&[(each, vec![], Limits::default())], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(4));
    let starts = scheduler.step(Time::default(), Event::Begin).into_iter().filter(|a| matches!(a, Action::Start(_)));
    assert_eq!(starts.count(), 4);
    assert_eq!(scheduler.instances.len(), 5);
}

#[test]
fn only_the_chosen_branch_runs() {
    let branch = |first: u32, value: i64| {
        let mut region = region("main/n0", first, &[plain(&[])]);
        region.result = result(Expr::Const(Value::Int(value)));
        Box::new(region)
    };
    for (holds, wanted) in [(true, 1), (false, 2)] {
        let choice =
            NodeKind::If { cond: Expr::Const(Value::Bool(holds)), then: branch(20, 1), otherwise: Some(branch(30, 2)) };
        let mut graph = graph(&[(choice, vec![], Limits::default())], Limits::default());
        graph.root.result = result(Expr::Var(Var(10)));
        let history = run(&graph, 1, &always(10));
        assert_eq!(history.value(), &Value::Int(wanted));
        assert_eq!(history.attempts.len(), 1);
    }
}

#[test]
fn an_assertion_that_does_not_hold_ends_the_run() {
    let no = NodeKind::Assert {
        cond: Expr::Const(Value::Bool(false)),
        message: Some(Expr::Const(Value::String("too bad".into()))),
    };
    let graph = graph(&[(no, vec![], Limits::default()), plain(&[])], Limits::default());
    assert_eq!(run(&graph, 1, &always(10)).failure(), ("main/n0", Kind::AssertionFailed));
}

#[test]
fn a_failure_stops_what_runs_beside_it() {
    let graph = graph(&[plain(&[]), plain(&[]), plain(&[0])], Limits::default());
    let fate = |attempt: &Attempt| match &*attempt.step.0 {
        "main/n1" => Fate { takes: 50, fails: Some(Kind::TaskFailed) },
        _ => Fate { takes: 1000, fails: None },
    };
    let history = simulate(&graph, options(2), &World { fate: &fate, lag: 5 }, None);
    assert_eq!(history.failure(), ("main/n1", Kind::TaskFailed));
    assert_eq!(history.ended, Time(ms(55)));
}

#[test]
fn retries_wait_longer_each_time_and_are_counted() {
    let graph = graph(&[(command("c"), vec![], retry(3, &[Kind::TaskFailed]))], Limits::default());
    let fails = |kind| move |_: &Attempt| Fate { takes: 100, fails: Some(kind) };
    let history = run(&graph, 1, &fails(Kind::TaskFailed));
    let starts: Vec<i64> = history.launches.iter().map(|(at, _)| at.0.millis()).collect();
    // 1 s, 2 s and 4 s after attempts of 100 ms.
    assert_eq!(starts, [0, 1100, 3200, 7300]);
    assert_eq!(run(&graph, 1, &fails(Kind::BadResult)).launches.len(), 1);
    // A lost worker is no fault of the step: two more tries, always.
    assert_eq!(run(&graph, 1, &fails(Kind::WorkerLost)).launches.len(), 3);
}

#[test]
fn a_retry_may_succeed() {
    let graph = graph(&[(command("c"), vec![], Limits::default())], Limits::default());
    let fate = |attempt: &Attempt| Fate { takes: 100, fails: (attempt.number == 1).then_some(Kind::WorkerLost) };
    let history = run(&graph, 1, &fate);
    assert!(matches!(history.verdict, Some(Verdict::Succeeded { .. })));
    assert_eq!(history.spent(), {
        let one = Prices::embedded().attempt(Size::from_mib(1024), ms(100));
        one.checked_add(one).unwrap()
    });
}

#[test]
fn waits_and_seeds_do_not_depend_on_when_a_step_runs() {
    let jittered = || {
        let retry = Retry { jitter: true, ..retry(4, &[]).retry.unwrap() };
        (command("c"), vec![], Limits { retry: Some(retry), ..Limits::default() })
    };
    let alone = graph(&[jittered()], Limits::default());
    let beside = graph(&[jittered(), plain(&[]), plain(&[])], Limits::default());
    let waits = |graph: &Graph, cpus| -> Vec<Duration> {
        let fate =
            |attempt: &Attempt| Fate { takes: 70, fails: (&*attempt.step.0 == "main/n0").then_some(Kind::TaskFailed) };
        let wait = |(_, notice): &(Time, Notice)| match notice {
            Notice::StepRetried { after, .. } => Some(*after),
            _ => None,
        };
        run(graph, cpus, &fate).notices.iter().filter_map(wait).collect()
    };
    assert_eq!(waits(&alone, 1).len(), 4);
    assert_eq!(waits(&alone, 1), waits(&beside, 1));
    assert_eq!(waits(&alone, 1), waits(&beside, 3));
}

#[test]
fn jitter_keeps_between_half_and_the_whole() {
    let jitter = Retry { max: 5, backoff: ms(1000), factor: 1.0, jitter: true, on: Vec::new(), memory: None };
    let limits = Limits { retry: Some(jitter), ..Limits::default() };
    let graph = graph(&[(command("c"), vec![], limits)], Limits::default());
    let history = run(&graph, 1, &|_| Fate { takes: 0, fails: Some(Kind::TaskFailed) });
    let starts: Vec<i64> = history.launches.iter().map(|(at, _)| at.0.millis()).collect();
    let waits: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 5);
    assert!(waits.iter().all(|wait| (500..=1000).contains(wait)), "{waits:?}");
    assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn a_timeout_is_an_attempts_own() {
    let limits = Limits { timeout: Some(ms(100)), ..retry(1, &[Kind::Timeout]) };
    let graph = graph(&[(command("c"), vec![], limits)], Limits::default());
    let history = run(&graph, 1, &|attempt| Fate { takes: if attempt.number == 1 { 500 } else { 50 }, fails: None });
    assert!(matches!(history.verdict, Some(Verdict::Succeeded { .. })));
}

#[test]
fn a_deadline_ends_a_run_that_has_nothing_to_show() {
    let graph = graph(&[plain(&[]), plain(&[0])], deadline(150, None));
    let history = run(&graph, 1, &always(100));
    assert_eq!(history.failure(), ("main/n1", Kind::DeadlineExceeded));
    assert_eq!(history.ended, Time(ms(150)));
    assert!(matches!(run(&graph, 1, &always(70)).verdict, Some(Verdict::Succeeded { .. })));
    let free = Options { enforce: false, ..options(1) };
    let history = simulate(&graph, free, &World { fate: &always(100), lag: 0 }, None);
    assert!(matches!(history.verdict, Some(Verdict::Succeeded { .. })));
}

#[test]
fn what_may_be_skipped_is_none_and_the_result_is_marked() {
    let mut graph =
        graph(&[(command("slow"), vec![], deadline(100, Some(OnMiss::Skip))), plain(&[0])], Limits::default());
    graph.root.result = result(Expr::Var(Var(10)));
    let history =
        run(&graph, 1, &|attempt| Fate { takes: if &*attempt.step.0 == "main/n0" { 500 } else { 10 }, fails: None });
    let Some(Verdict::Succeeded { value: Value::None, marks }) = &history.verdict else {
        panic!("{:?}", history.verdict)
    };
    assert_eq!(&*marks[0].scope.0, "main/n0");
    assert_eq!(history.ended, Time(ms(110)));
}

#[test]
fn a_group_that_is_skipped_takes_all_inside_along() {
    let group = NodeKind::Group(Box::new(region("main/n0", 20, &[plain(&[]), plain(&[0])])));
    let graph = graph(&[(group, vec![], deadline(150, Some(OnMiss::Skip))), plain(&[])], Limits::default());
    let history = run(&graph, 2, &always(100));
    assert!(matches!(history.verdict, Some(Verdict::Succeeded { .. })));
    assert_eq!(history.ended, Time(ms(150)));
}

#[test]
fn a_budget_stops_before_it_is_overdrawn() {
    let limits = budget("$0.0002", None);
    let graph = graph(&[plain(&[]), plain(&[0])], limits);
    let history = run(&graph, 1, &always(3_600_000));
    assert_eq!(history.failure(), ("main/n0", Kind::BudgetExceeded));
    let spent = history.spent();
    assert!(spent <= "$0.0002".parse().unwrap(), "{spent}");
    assert!(spent > "$0.000199".parse().unwrap(), "{spent}");
}

#[test]
fn shares_of_a_budget_are_warned_of_once() {
    let graph = graph(&[plain(&[]), plain(&[0]), plain(&[1])], budget("$0.0002", None));
    let history = run(&graph, 1, &always(2000));
    let prices = Prices::embedded();
    let started = prices.start().checked_mul(2.into()).unwrap();
    let working: Money = "$0.0001".parse().unwrap();
    let rate = prices.rate(Size::from_mib(1024)).to_f64();
    let reached = working.checked_sub(started).unwrap().to_f64() / rate * 1000.0;
    let [(at, message)] = &warnings(&history)[..] else { panic!("{:?}", warnings(&history)) };
    assert_eq!(message, "50% of the budget of $0.0002 is spent");
    assert!((at.0.millis() as f64 - reached).abs() < 5000.0, "{at:?} {reached}");
}

/// What was said of limits, and when.
fn warnings(history: &History) -> Vec<(Time, String)> {
    let told = history.notices.iter().filter_map(|(at, notice)| match notice {
        Notice::Limit { message, .. } => Some((*at, message.clone())),
        _ => None,
    });
    told.collect()
}

#[test]
fn shares_of_a_deadline_are_warned_of_when_they_have_passed() {
    let mut limits = deadline(1000, None);
    limits.deadline.as_mut().unwrap().warn_at = ["80%", "50%", "99%"].map(|share| share.parse().unwrap()).into();
    let graph = graph(&[plain(&[])], limits);
    let warned = [
        (Time(ms(500)), "50% of the deadline of 1s has passed".to_owned()),
        (Time(ms(800)), "80% of the deadline of 1s has passed".to_owned()),
    ];
    assert_eq!(warnings(&run(&graph, 1, &always(900))), warned);
}

#[test]
fn what_is_under_way_ends_when_the_user_wants_to_stop() {
    let graph = graph(&[plain(&[]), plain(&[]), plain(&[0])], Limits::default());
    let takes = |attempt: &Attempt| Fate { takes: if &*attempt.step.0 == "main/n0" { 500 } else { 1000 }, fails: None };
    let history = simulate(&graph, options(2), &World { fate: &takes, lag: 20 }, Some(300));
    assert_eq!(history.verdict, Some(Verdict::Cancelled));
    assert_eq!(history.ended, Time(ms(1000)));
    assert_eq!(history.started("main/n2"), None);
    let told = |wanted: fn(&Notice) -> bool| history.notices.iter().filter(|(_, notice)| wanted(notice)).count();
    assert_eq!(told(|notice| matches!(notice, Notice::Stopping { steps: 2 })), 1);
    assert_eq!(told(|notice| matches!(notice, Notice::StepDone { value: Value::Int(500 | 1000), .. })), 2);
}

#[test]
fn a_retry_that_waits_is_given_up_when_the_user_wants_to_stop() {
    let graph = graph(&[(command("c"), vec![], retry(3, &[Kind::TaskFailed]))], Limits::default());
    let fate = |_: &Attempt| Fate { takes: 100, fails: Some(Kind::TaskFailed) };
    for (cancel, ended) in [(50, 100), (300, 300)] {
        let history = simulate(&graph, options(1), &World { fate: &fate, lag: 0 }, Some(cancel));
        assert_eq!(history.verdict, Some(Verdict::Cancelled));
        assert_eq!(history.ended, Time(ms(ended)));
        assert_eq!(history.launches.len(), 1);
    }
}

#[test]
fn a_late_report_of_an_old_attempt_is_ignored() {
    let graph = graph(&[(command("c"), vec![], retry(1, &[Kind::TaskFailed]))], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(1));
    let attempt = |number| Attempt { step: StepPath("main/n0".into()), number };
    let failed = |number| Event::Failed(attempt(number), Failure::new(Kind::TaskFailed, ""), ms(1));
    let done = |number, value| {
        let done = Done { output: Value::Int(value), trained: None, elapsed: ms(1) };
        Event::Done(attempt(number), Box::new(done))
    };
    scheduler.step(Time::default(), Event::Begin);
    scheduler.step(Time(ms(1)), failed(1));
    scheduler.step(Time(ms(1001)), Event::Tick);
    assert_eq!(scheduler.running(), 1);
    let late = scheduler.step(Time(ms(1002)), done(1, 1));
    assert!(late.iter().all(|action| !matches!(action, Action::Finish(_))), "{late:?}");
    let end = scheduler.step(Time(ms(1003)), done(2, 2));
    assert!(end.iter().any(|action| matches!(action, Action::Finish(Verdict::Succeeded { .. }))));
    assert_eq!(scheduler.step(Time(ms(1004)), done(2, 3)), []);
}

fn inner_of(name: &str, index: usize) -> Region {
    region(&format!("main/n{index}/{name}"), 100 + 10 * index as u32, &[plain(&[]), plain(&[0])])
}

/// A `try` whose handler sees the failure as variable 98.
fn attempt(body: Region, kinds: &[Kind], handler: Region) -> NodeKind {
    let catch = Catch { kinds: kinds.to_vec(), error: Some(Var(98)), body: handler };
    NodeKind::Try { body: Box::new(body), catches: vec![catch] }
}

/// A `repeat` that carries variable 97, from 0.
fn repeat(times: Expr, body: Region) -> NodeKind {
    let carried = Some((Var(97), Expr::Const(Value::Int(0))));
    NodeKind::Repeat { times, carried, cond: None, body: Box::new(body) }
}

/// A search over steps with five trials, whose choice is variable 96.
fn search(parallel: i64, body: Region) -> NodeKind {
    let call = |name: &str, args: &[(&str, Value)]| {
        let args = args.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        Expr::Const(Value::Std(Call { name: name.into(), args, site: crate::value::Site::default() }))
    };
    let uniform = call("uniform", &[("low", Value::Float(0.0)), ("high", Value::Float(1.0))]);
    NodeKind::Search(Box::new(graph::Search {
        space: vec![graph::Dimension { name: "x".into(), var: Var(96), distribution: uniform, cond: None }],
        strategy: call("random", &[("trials", Value::Int(5))]),
        parallel: Some(Expr::Const(Value::Int(parallel))),
        seed: None,
        trial: Trial::Steps { body, larger: false },
    }))
}

fn with_result(mut region: Region, expr: Expr) -> Region {
    region.result = result(expr);
    region
}

fn field(expr: Expr, name: &str) -> Expr {
    Expr::Field(Box::new(expr), name.into())
}

fn fails_in(step: &'static str, kind: Kind) -> impl Fn(&Attempt) -> Fate {
    move |attempt| Fate { takes: 100, fails: (&*attempt.step.0 == step).then_some(kind) }
}

#[test]
fn a_try_goes_on_with_what_catches_the_failure() {
    let body = region("main/n0/try", 20, &[plain(&[]), plain(&[]), plain(&[0, 1])]);
    let told = Expr::List(vec![field(Expr::Var(Var(98)), "kind"), field(Expr::Var(Var(98)), "step")]);
    let handler = with_result(region("main/n0/catch", 30, &[plain(&[])]), told);
    let mut graph =
        graph(&[(attempt(body, &[Kind::TaskFailed], handler), vec![], Limits::default())], Limits::default());
    graph.root.result = result(Expr::Var(Var(10)));
    let history = run(&graph, 4, &fails_in("main/n0/try/n0", Kind::TaskFailed));
    let texts = ["TaskFailed", "main/n0/try/n0"].map(|text| Value::String(text.into()));
    assert_eq!(history.value(), &Value::List(texts.into()));
    assert_eq!(history.started("main/n0/try/n2"), None);
    assert_eq!(history.started("main/n0/catch/n0"), Some(Time(ms(100))));
    // Other kinds, and failures of the handler itself, are not caught.
    let other = run(&graph, 4, &fails_in("main/n0/try/n0", Kind::OutOfMemory));
    assert_eq!(other.failure(), ("main/n0/try/n0", Kind::OutOfMemory));
    let both = |attempt: &Attempt| Fate { takes: 1, fails: attempt.step.0.ends_with("n0").then_some(Kind::TaskFailed) };
    assert_eq!(run(&graph, 4, &both).failure(), ("main/n0/catch/n0", Kind::TaskFailed));
}

#[test]
fn a_limit_is_caught_by_what_stands_around_its_scope() {
    for on_miss in [None, Some(OnMiss::Fail)] {
        let late = [Kind::DeadlineExceeded];
        let handler = || region("main/n0/catch", 30, &[plain(&[])]);
        let slow =
            |attempt: &Attempt| Fate { takes: if attempt.step.0.contains("/try/") { 900 } else { 50 }, fails: None };
        // Its own, that of a step inside, and that of the workflow around it.
        let own = (
            attempt(region("main/n0/try", 20, &[plain(&[]), plain(&[])]), &late, handler()),
            vec![],
            deadline(200, on_miss),
        );
        let history = run(&graph(&[own], Limits::default()), 2, &slow);
        assert!(matches!(history.verdict, Some(Verdict::Succeeded { .. })), "{:?}", history.verdict);
        assert_eq!(history.ended, Time(ms(250)));
        let step = region("main/n0/try", 20, &[(command("c"), vec![], deadline(200, on_miss))]);
        let inside = (attempt(step, &late, handler()), vec![], Limits::default());
        assert_eq!(run(&graph(&[inside], Limits::default()), 2, &slow).ended, Time(ms(250)));
        let outside = (attempt(region("main/n0/try", 20, &[plain(&[])]), &late, handler()), vec![], Limits::default());
        let history = run(&graph(&[outside], deadline(200, on_miss)), 2, &slow);
        assert_eq!(history.failure().1, Kind::DeadlineExceeded);
    }
}

#[test]
fn each_round_takes_over_what_the_one_before_left() {
    let next = Expr::native(Native::Add, vec![Expr::Var(Var(97)), Expr::Var(Var(20))]);
    let body = || with_result(region("main/n0", 20, &[plain(&[])]), next.clone());
    let mut graph =
        graph(&[(repeat(Expr::Const(Value::Int(5)), body()), vec![], Limits::default())], Limits::default());
    graph.root.result = result(Expr::Var(Var(10)));
    let history = run(&graph, 4, &always(100));
    assert_eq!((history.value(), history.most_running), (&Value::Int(500), 1));
    assert_eq!(history.started("main/n0[3]/n0"), Some(Time(ms(300))));
    // It ends when the condition no longer holds.
    let NodeKind::Repeat { cond, .. } = &mut graph.root.dag[NodeIndex::new(0)].kind else { unreachable!() };
    *cond = Some(Expr::native(Native::Lt, vec![Expr::Var(Var(97)), Expr::Const(Value::Int(250))]));
    assert_eq!(run(&graph, 4, &always(100)).value(), &Value::Int(300));
}

#[test]
fn rounds_without_work_leave_the_world_a_word() {
    let next = Expr::native(Native::Add, vec![Expr::Var(Var(97)), Expr::Const(Value::Int(1))]);
    let endless = repeat(Expr::Const(Value::Int(1_000_000)), with_result(Region::default(), next));
    let graph = graph(&[(endless, vec![], Limits::default())], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(1));
    let first = scheduler.step(Time::default(), Event::Begin);
    assert!(first.contains(&Action::WakeAt(Time::default())), "{first:?}");
    let end = scheduler.step(Time(ms(1)), Event::Cancel);
    assert!(end.contains(&Action::Finish(Verdict::Cancelled)), "{end:?}");
}

#[test]
fn a_limit_ends_what_does_no_work() {
    let body = || with_result(Region::default(), Expr::Var(Var(97)));
    let list = Expr::Const(Value::List(vec![Value::None; 1_000_000]));
    let rounds = repeat(Expr::Const(Value::Int(1_000_000)), body());
    let items = NodeKind::For { item: Var(97), list, body: Box::new(body()) };
    for endless in [rounds, items] {
        let graph = graph(&[(endless, vec![], Limits::default())], deadline(5, None));
        let mut scheduler = Scheduler::new(&graph, Fields::new(), options(1));
        scheduler.step(Time::default(), Event::Begin);
        let end = scheduler.step(Time(ms(5)), Event::Tick);
        let failed = |action: &Action| matches!(action, Action::Finish(Verdict::Failed { failure, .. }) if failure.kind == Kind::DeadlineExceeded);
        assert!(end.iter().any(failed), "{end:?}");
    }
}

#[test]
fn a_for_in_a_for_ends_its_items_first() {
    let list = || Expr::Const(Value::List(vec![Value::None; 1000]));
    let inner = NodeKind::For { item: Var(98), list: list(), body: Box::new(region("main/n0/n0", 30, &[plain(&[])])) };
    let outer = region("main/n0", 20, &[(inner, vec![], Limits::default())]);
    let each = NodeKind::For { item: Var(99), list: list(), body: Box::new(outer) };
    let graph = graph(&[(each, vec![], Limits::default())], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(4));
    scheduler.step(Time::default(), Event::Begin);
    // The workflow, one item of the outer loop, and four of the inner.
    assert_eq!(scheduler.instances.len(), 6);
}

#[test]
fn a_workflow_that_is_run_sees_its_arguments() {
    let param = Param {
        name: "n".into(),
        var: Var(20),
        ty: Type::Int,
        default: None,
        range: Some((Value::Int(0), Value::Int(9))),
        one_of: Vec::new(),
        secret: false,
    };
    let body = Box::new(with_result(Region::default(), Expr::Var(Var(20))));
    // Its argument is what the step before it gives: the time that took.
    let call = NodeKind::Call { args: vec![(param, Expr::Var(Var(10)))], body };
    let mut graph = graph(&[plain(&[]), (call, vec![0], Limits::default())], Limits::default());
    graph.root.result = result(Expr::Var(Var(11)));
    assert_eq!(run(&graph, 1, &always(7)).value(), &Value::Int(7));
    assert_eq!(run(&graph, 1, &always(70)).failure(), ("main/n1", Kind::AssertionFailed));
}

/// A trial's value is what its second step took; that of trial `n` takes `takes(n)`.
fn searched(parallel: i64, takes: impl Fn(usize) -> i64, fails: Option<Kind>) -> History {
    searched_within(OnMiss::KeepBest, parallel, takes, fails)
}

fn searched_within(on_miss: OnMiss, parallel: i64, takes: impl Fn(usize) -> i64, fails: Option<Kind>) -> History {
    let body = with_result(inner_of("trial", 0), Expr::Var(Var(101)));
    let limits = deadline(1000, Some(on_miss));
    let mut graph = graph(&[(search(parallel, body), vec![], limits)], Limits::default());
    graph.root.result = result(Expr::Var(Var(10)));
    let fate = |attempt: &Attempt| {
        let trial = attempt.step.0.split(['[', ']']).nth(1).and_then(|trial| trial.parse().ok()).unwrap_or(0);
        let second = attempt.step.0.ends_with("n1");
        Fate { takes: if second { takes(trial) } else { 1 }, fails: fails.filter(|_| second && trial == 3) }
    };
    run(&graph, 4, &fate)
}

fn values(history: &History) -> Vec<Value> {
    let Some(Value::List(trials)) = history.value().field("trials") else { panic!("{:?}", history.value()) };
    trials.iter().map(|trial| trial.field("value").cloned().unwrap_or(Value::None)).collect()
}

#[test]
fn a_search_over_steps_keeps_the_best_whatever_ends_first() {
    for parallel in 1..=5 {
        let takes = [50, 40, 10, 30, 20];
        let history = searched(parallel, |trial| takes[trial], None);
        assert_eq!(values(&history), takes.map(|takes| Value::Float(takes as f64)));
        assert_eq!(history.value().field("value"), Some(&Value::Float(10.0)));
        assert_eq!(history.value().field("best"), Some(&Value::Int(10)));
        assert!(history.most_running <= parallel as usize);
    }
}

#[test]
fn a_trial_over_steps_that_takes_too_much_is_the_worst_and_any_other_failure_ends_the_search() {
    let history = searched(2, |_| 10, Some(Kind::OutOfMemory));
    assert_eq!(values(&history)[3], Value::None);
    assert_eq!(searched(2, |_| 10, Some(Kind::TaskFailed)).failure(), ("main/n0/trial[3]/n1", Kind::TaskFailed));
}

#[test]
fn a_deadline_keeps_the_best_of_the_trials_that_are_over() {
    let history = searched(2, |trial| if trial == 1 { 10 } else { 5000 }, None);
    assert_eq!(history.value().field("value"), Some(&Value::Float(10.0)));
    assert_eq!(history.ended, Time(ms(1000)));
}

#[test]
fn what_is_under_way_may_end_behind_a_limit_that_says_so_and_nothing_more_begins() {
    let finish = |limits: Limits| {
        let mut limits = limits;
        limits.deadline.iter_mut().for_each(|deadline| deadline.on_miss = Some(OnMiss::Finish));
        limits.budget.iter_mut().for_each(|budget| budget.on_miss = Some(OnMiss::Finish));
        limits
    };
    for limits in [deadline(500, None), budget("$0.00004", None)] {
        let one = graph(&[plain(&[])], finish(limits.clone()));
        let history = run(&one, 1, &always(900));
        assert_eq!(
            (
                history.ended,
                history.notices.iter().filter(|(_, notice)| matches!(notice, Notice::StepDone { .. })).count()
            ),
            (Time(ms(900)), 1)
        );
        let two = graph(&[plain(&[]), plain(&[0])], finish(limits));
        assert_eq!(run(&two, 1, &always(900)).failure().0, "main/n1");
    }
    // Of the trials that begin before it, the one that begins last ends last.
    let history = searched_within(OnMiss::Finish, 2, |trial| if trial == 1 { 10 } else { 5000 }, None);
    assert_eq!(values(&history), [5000.0, 10.0, 5000.0].map(Value::Float));
    assert_eq!(history.ended, Time(ms(5012)));
}

/// A random workflow with random fates.
#[derive(Clone, Debug)]
struct Case {
    nodes: Vec<(u8, Vec<usize>, Limits)>,
    limits: Limits,
    slots: usize,
    takes: Vec<i64>,
    fails: Vec<Option<Kind>>,
    lag: i64,
}

impl Case {
    fn graph(&self) -> Graph {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, (kind, after, limits))| {
                let inner = || inner_of("", index);
                let kind = match kind {
                    0 | 1 => command("c"),
                    2 => NodeKind::Group(Box::new(inner())),
                    3 => attempt(inner(), &[Kind::TaskFailed, Kind::DeadlineExceeded], inner_of("catch", index)),
                    4 => repeat(Expr::Const(Value::Int(3)), inner()),
                    5 => search(2, with_result(inner_of("trial", index), Expr::Var(Var(101 + 10 * index as u32)))),
                    6 => NodeKind::Call { args: Vec::new(), body: Box::new(inner()) },
                    _ => {
                        let list = Expr::Const(Value::List((0..4).map(Value::Int).collect()));
                        NodeKind::For { item: Var(1000 + index as u32), list, body: Box::new(inner()) }
                    }
                };
                (kind, after.clone(), limits.clone())
            })
            .collect();
        graph(&nodes, self.limits.clone())
    }

    fn fate(&self, attempt: &Attempt) -> Fate {
        let draw = Seed::new(7).child(&attempt.step).child(attempt.number).get() as usize;
        Fate { takes: self.takes[draw % self.takes.len()], fails: self.fails[draw / 7 % self.fails.len()] }
    }

    fn run(&self) -> History {
        self.cancelled(None)
    }

    /// The same when the user wants to stop at a time.
    fn cancelled(&self, at: Option<i64>) -> History {
        self.simulated(at, &BTreeMap::new())
    }

    fn interrupted(&self, interruptions: &BTreeMap<usize, Interruption>) -> History {
        self.simulated(None, interruptions)
    }

    fn simulated(&self, cancel: Option<i64>, interruptions: &BTreeMap<usize, Interruption>) -> History {
        let fate = |attempt: &Attempt| self.fate(attempt);
        let options = Options { capacity: machine(self.slots), ..options(1) };
        simulate_interrupted(&self.graph(), options, &World { fate: &fate, lag: self.lag }, cancel, interruptions)
    }

    /// The same without deadlines and budgets, so that what comes of it depends on nothing but the outcomes of steps.
    fn without_limits(self) -> Self {
        let plain = |limits: Limits| Limits { deadline: None, budget: None, ..limits };
        let nodes = self.nodes.into_iter().map(|(kind, after, limits)| (kind, after, plain(limits)));
        Self { nodes: nodes.collect(), limits: plain(self.limits), lag: 0, ..self }
    }
}

/// A value without the time that a search took, which depends on what ran beside it.
fn untimed(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(untimed).collect()),
        Value::Record(fields) => {
            let kept = fields.iter().filter(|(name, _)| &***name != "elapsed");
            Value::Record(kept.map(|(name, value)| (name.clone(), untimed(value))).collect())
        }
        value => value.clone(),
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let on_miss = prop::option::of(prop::sample::select(vec![OnMiss::Fail, OnMiss::KeepBest, OnMiss::Skip]));
    let deadline = prop::option::weighted(0.3, (10_i64..4000, on_miss.clone()));
    let budget = prop::option::weighted(0.3, (1_i64..200, on_miss));
    let retry = prop::option::weighted(0.5, (0_u32..3, 0_i64..200, any::<bool>()));
    let timeout = prop::option::weighted(0.2, 10_i64..800);
    let max_parallel = prop::option::weighted(0.2, 1_u32..3);
    // The smallest machine has a processor and 2 GiB.
    let resources = (
        prop::option::weighted(0.3, prop::sample::select(vec![0.1, 0.25, 0.5, 1.0])),
        prop::option::weighted(0.3, prop::sample::select(vec![10, 700, 1200, 2048])),
    );
    let all = (deadline, budget, retry, timeout, max_parallel, resources);
    all.prop_map(|(deadline, budget, retry, timeout, max_parallel, (cpu, memory))| Limits {
        cpu,
        memory: memory.map(|mib| Memory::Exactly(Size::from_mib(mib))),
        deadline: deadline.map(|(after, on_miss)| Deadline { after: ms(after), on_miss, warn_at: Vec::new() }),
        budget: budget.map(|(micros, on_miss)| Budget {
            amount: Amount::Money(Money::new(Decimal::new(micros * 10, 6))),
            on_miss,
            warn_at: Vec::new(),
        }),
        retry: retry.map(|(max, backoff, jitter)| Retry {
            max,
            backoff: ms(backoff),
            factor: 2.0,
            jitter,
            on: Vec::new(),
            memory: None,
        }),
        timeout: timeout.map(ms),
        max_parallel,
        ..Limits::default()
    })
}

fn case() -> impl Strategy<Value = Case> {
    let node = (0_u8..8, prop::collection::vec(any::<prop::sample::Index>(), 0..3), limits());
    let fails = prop::sample::select(vec![None, None, None, None, Some(Kind::TaskFailed), Some(Kind::WorkerLost)]);
    let nodes = prop::collection::vec(node, 1..8);
    let takes = prop::collection::vec(0_i64..600, 1..6);
    (nodes, limits(), 1_usize..5, takes, prop::collection::vec(fails, 1..8), 0_i64..30).prop_map(
        |(nodes, limits, slots, takes, fails, lag)| {
            let after = |index: usize, picks: Vec<prop::sample::Index>| {
                let mut after: Vec<usize> = picks.iter().filter(|_| index > 0).map(|pick| pick.index(index)).collect();
                after.sort_unstable();
                after.dedup();
                after
            };
            let nodes =
                nodes.into_iter().enumerate().map(|(index, (kind, picks, limits))| (kind, after(index, picks), limits));
            Case { nodes: nodes.collect(), limits, slots, takes, fails, lag }
        },
    )
}

fn interruptions() -> impl Strategy<Value = BTreeMap<usize, Interruption>> {
    let interruption = prop::sample::select(vec![Interruption::Kill, Interruption::Kill, Interruption::Cancel]);
    prop::collection::btree_map(1_usize..40, interruption, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_holds_of_every_run(case in case()) {
        let history = case.run();

        // Nothing starts before what it waits for is over.
        for (index, (_, after, _)) in case.nodes.iter().enumerate() {
            let own = format!("main/n{index}");
            let inside = |attempt: &Attempt, path: &str| {
                attempt.step.0.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
            };
            let first = history.attempts.iter().filter(|(attempt, _)| inside(attempt, &own)).map(|(_, (start, _))| *start).min();
            for before in after {
                let before = format!("main/n{before}");
                let last = history.attempts.iter().filter(|(attempt, _)| inside(attempt, &before)).filter_map(|(_, (_, end))| *end).max();
                // What was stopped dies a little later than it is given up.
                if let (Some(first), Some(last)) = (first, last) {
                    prop_assert!(last.0.millis() - case.lag <= first.0.millis(), "{own} began before {before} was over");
                }
            }
        }

        // The budget is never overdrawn, but for what stopped attempts cost while they die.
        if let Some(Budget { amount: Amount::Money(amount), .. }) = &case.limits.budget {
            let rate = Prices::embedded().rate(Size::from_mib(2048));
            let dying = rate.checked_mul(Decimal::new(case.lag * history.most_running as i64, 3)).unwrap();
            prop_assert!(history.spent() <= amount.checked_add(dying).unwrap(), "{} of {amount}", history.spent());
        }

        // Nothing starts at or after the deadline, and all is over soon after.
        if let Some(deadline) = &case.limits.deadline {
            prop_assert!(history.launches.iter().all(|(at, _)| at.0 < deadline.after));
            prop_assert!(history.ended.0.millis() <= deadline.after.millis() + case.lag);
        }

        // Retries are as declared: the nearest annotation counts, and lost workers are tried again twice on their own.
        for (index, (kind, _, limits)) in case.nodes.iter().enumerate().filter(|(_, (kind, ..))| *kind < 2) {
            let _ = kind;
            let max = limits.retry.as_ref().or(case.limits.retry.as_ref()).map_or(0, |retry| retry.max);
            let attempts = history.attempts.keys().filter(|attempt| *attempt.step.0 == *format!("main/n{index}")).count();
            prop_assert!(attempts <= 1 + max as usize + 2);
        }
    }

    #[test]
    fn the_result_is_the_same_on_every_machine(case in case(), cpus in 1_usize..9, mib in 2048_u64..9000) {
        // Nothing fails and no limit is reached, which may depend on the time that all takes.
        let free = |limits: &Limits| Limits { deadline: None, budget: None, timeout: None, ..limits.clone() };
        let nodes: Vec<_> = case.nodes.iter().map(|(kind, after, limits)| (*kind, after.clone(), free(limits))).collect();
        let case = Case { nodes, limits: free(&case.limits), fails: vec![None], ..case };
        let value = |capacity| {
            let mut graph = case.graph();
            graph.root.result = result(Expr::List((0..case.nodes.len()).map(|node| Expr::Var(Var(10 + node as u32))).collect()));
            let options = Options { capacity, ..options(1) };
            let history = simulate(&graph, options, &World { fate: &|attempt| case.fate(attempt), lag: 0 }, None);
            untimed(history.value())
        };
        prop_assert_eq!(value(machine(1)), value(Capacity::new(cpus, Size::from_mib(mib))));
    }

    #[test]
    fn the_same_case_gives_the_same_log(case in case()) {
        let (first, second) = (case.run(), case.run());
        prop_assert_eq!(first.log, second.log);
        prop_assert_eq!(first.notices, second.notices);
        prop_assert_eq!(first.verdict, second.verdict);
    }

    #[test]
    fn replaying_a_log_goes_on_as_if_nothing_had_happened(case in case(), cut: prop::sample::Index) {
        let (graph, history) = (case.graph(), case.run());
        let cut = cut.index(history.log.len());
        let log = history.log[..cut].iter().cloned();
        let mut scheduler = Scheduler::replay(&graph, Fields::new(), options(case.slots), log, &mut |_, _| {});
        let mut verdict = None;
        for (time, event) in &history.log[cut..] {
            for action in scheduler.step(*time, event.clone()) {
                if let Action::Finish(end) = action {
                    verdict = Some(end);
                }
            }
        }
        prop_assert_eq!(verdict, history.verdict);
    }

    #[test]
    fn a_run_that_is_cut_off_and_resumed_comes_to_the_same(case in case(), interruptions in interruptions()) {
        let case = case.without_limits();
        let (undisturbed, disturbed) = (case.run(), case.interrupted(&interruptions));
        if interruptions.values().all(|interruption| *interruption == Interruption::Kill) {
            prop_assert_eq!(&disturbed.verdict, &undisturbed.verdict);
            prop_assert_eq!(disturbed.ended, undisturbed.ended);
        }
        // What ends while nothing more begins changes which of several failures comes first.
        let value = |history: &History| match &history.verdict {
            Some(Verdict::Succeeded { value, .. }) => Some(value.clone()),
            _ => None,
        };
        prop_assert_eq!(value(&disturbed), value(&undisturbed));
    }

    #[test]
    fn limits_hold_across_interruptions(case in case(), interruptions in interruptions()) {
        let history = case.interrupted(&interruptions);
        prop_assert!(!matches!(history.verdict, Some(Verdict::Cancelled)));
        if let Some(Budget { amount: Amount::Money(amount), .. }) = &case.limits.budget {
            let rate = Prices::embedded().rate(Size::from_mib(2048));
            let dying = rate.checked_mul(Decimal::new(case.lag * history.most_running as i64, 3)).unwrap();
            prop_assert!(history.spent() <= amount.checked_add(dying).unwrap(), "{} of {amount}", history.spent());
        }
        if let Some(deadline) = &case.limits.deadline {
            prop_assert!(history.launches.iter().all(|(at, _)| at.0 < deadline.after));
            prop_assert!(history.ended.0.millis() <= deadline.after.millis() + case.lag);
        }
        let (graph, log) = (case.graph(), history.log.iter().cloned());
        let again = Scheduler::replay(&graph, Fields::new(), options(case.slots), log, &mut |_, _| {});
        let ended = |verdict: &Verdict| matches!(verdict, Verdict::Succeeded { .. });
        prop_assert_eq!(again.verdict().is_some_and(ended), history.verdict.as_ref().is_some_and(ended));
    }

    #[test]
    fn a_result_that_serves_is_as_good_as_one_that_is_made(case in case(), every in 1_usize..4) {
        let case = case.without_limits();
        let (graph, history) = (case.graph(), case.run());
        let log = history.log.iter().enumerate().map(|(index, (time, event))| match event {
            Event::Done(attempt, done) if index.is_multiple_of(every) => (*time, Event::Served(attempt.clone(), done.clone())),
            event => (*time, event.clone()),
        });
        let served = Scheduler::replay(&graph, Fields::new(), options(case.slots), log, &mut |_, _| {});
        prop_assert_eq!(served.verdict(), history.verdict.as_ref());
        prop_assert_eq!(served.running(), 0);
    }

    #[test]
    fn a_report_that_comes_twice_changes_nothing(case in case(), twice: prop::sample::Index) {
        let (graph, history) = (case.graph(), case.run());
        let twice = twice.index(history.log.len());
        let (time, event) = history.log[twice].clone();
        if !matches!(event, Event::Done(..) | Event::Failed(..)) {
            return Ok(());
        }
        let log = history.log[..=twice].iter().cloned();
        let mut scheduler = Scheduler::replay(&graph, Fields::new(), options(case.slots), log, &mut |_, _| {});
        let actions = scheduler.step(time, event);
        prop_assert!(!actions.iter().any(|action| matches!(action, Action::Start(_) | Action::Finish(_))), "{actions:?}");
    }

    #[test]
    fn nothing_starts_once_the_user_wants_to_stop(case in case(), at in 1_i64..2000) {
        let (whole, history) = (case.run(), case.cancelled(Some(at)));
        if whole.ended.0.millis() < at {
            prop_assert_eq!(history.verdict, whole.verdict);
            return Ok(());
        }
        prop_assert!(history.launches.iter().all(|(start, _)| start.0.millis() < at));
        // It ends with the last that was under way, and what came of each is in the log.
        let ends = history.attempts.values().map(|(_, end)| end.map(|end| end.0.millis()));
        let ends: Option<Vec<i64>> = ends.collect();
        prop_assert_eq!(ends.map(|ends| ends.into_iter().fold(at, i64::max)), Some(history.ended.0.millis()));
        // How it ends may have been decided, and what was stopped be dying.
        let decided = whole.ended.0.millis() <= at + case.lag;
        prop_assert!(decided || history.verdict == Some(Verdict::Cancelled), "{:?}", history.verdict);
        if let Some(deadline) = &case.limits.deadline {
            prop_assert!(history.ended.0.millis() <= deadline.after.millis().max(at) + case.lag);
        }
    }

    #[test]
    fn more_time_and_money_never_hurt(case in case(), factor in 2_i64..5) {
        // Limits inside may be skipped, which changes what comes after; only the outermost are widened here.
        let plain = |limits: &Limits| Limits { deadline: None, budget: None, ..limits.clone() };
        let nodes: Vec<_> = case.nodes.iter().map(|(kind, after, limits)| (*kind, after.clone(), plain(limits))).collect();
        let narrow = Case { nodes: nodes.clone(), ..case.clone() };
        let mut wide = narrow.clone();
        if let Some(deadline) = &mut wide.limits.deadline {
            deadline.after = ms(deadline.after.millis() * factor);
        }
        if let Some(Budget { amount: Amount::Money(amount), .. }) = &mut wide.limits.budget {
            *amount = amount.checked_mul(Decimal::from(factor)).unwrap();
        }
        if let Some(Verdict::Succeeded { marks, .. }) = narrow.run().verdict
            && marks.is_empty()
        {
            let wide = wide.run().verdict;
            prop_assert!(matches!(wide, Some(Verdict::Succeeded { .. })), "{wide:?}");
        }
    }
}

#[test]
fn a_step_starts_only_after_its_turn() {
    let graph = graph(&[plain(&[]), plain(&[0])], Limits::default());
    let history = run(&graph, 4, &always(100));
    assert_eq!(history.ended("main/n0"), history.started("main/n1"));
    assert!(history.launches.iter().all(|(_, launch)| matches!(launch.op, Op::Command(_))));
}

#[test]
fn a_served_step_takes_no_money_whatever_the_time_until_that_is_known() {
    let graph = graph(&[plain(&[]), plain(&[0])], Limits::default());
    let mut scheduler = Scheduler::new(&graph, Fields::new(), options(1));
    let mut actions = scheduler.step(Time::default(), Event::Begin);
    for step in ["main/n0", "main/n1"] {
        let start = |action: &Action| match action {
            Action::Start(launch) => Some(launch.attempt.clone()),
            _ => None,
        };
        let attempt = actions.iter().find_map(start).unwrap();
        assert_eq!(&*attempt.step.0, step);
        let done = Done { output: Value::Int(1), trained: None, elapsed: ms(5) };
        actions = scheduler.step(Time(ms(1000)), Event::Served(attempt, Box::new(done)));
        let is_free =
            |action: &Action| matches!(action, Action::Note(Notice::StepDone { cost, .. }) if *cost == Money::ZERO);
        assert!(actions.iter().any(is_free), "{actions:?}");
        assert!(!actions.iter().any(|action| matches!(action, Action::Note(Notice::Spent { .. }))), "{actions:?}");
    }
    assert!(actions.iter().any(|action| matches!(action, Action::Finish(Verdict::Succeeded { .. }))), "{actions:?}");
}
