use super::*;
use crate::{
    check,
    cli::world::Files,
    forecast::Platform,
    graph,
    plan::{Capacity, Plan},
    prices::Prices,
    units::Size,
    value::Dataset,
    wire::{Facts, Kind, Progress},
};
use std::fs;

const IMAGES: &str = r#"
import std/nn.{dense, relu}

dataset images {
  source: "images.csv"
  label: "label"
}

model net(inputs: Int) = dense(inputs, 2048) |> relu |> dense(2048, 2048) |> relu |> dense(2048, 10)
"#;

/// A workflow with the images before it.
struct Workflow(Graph);

impl Workflow {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("main.smlt");
        fs::write(&file, format!("{IMAGES}{text}")).unwrap();
        let files = Files::open(&file).unwrap();
        let checked = check::check(&files);
        assert!(checked.is_ok(), "{:?}", checked.diagnostics);
        let program = checked.value;
        Self(graph::build(program.workflows.last().unwrap(), &files))
    }

    fn ask<T>(&self, slowdown: Option<Slowdown>, ask: impl FnOnce(Question) -> T) -> T {
        self.ask_on(&Platform::lambda(), slowdown, ask)
    }

    fn ask_on<T>(&self, platform: &Platform, slowdown: Option<Slowdown>, ask: impl FnOnce(Question) -> T) -> T {
        let options = Options {
            seed: Seed::new(0),
            enforce: true,
            prices: Prices::embedded(),
            run_id: "simulated".into(),
            capacity: Capacity::new(1000, Size::from_mib(1 << 30)),
            workers: None,
            plan: Plan::default(),
        };
        let experience = Experience::default();
        let read = |_: &Dataset| {
            Some(Facts { width: 784, classes: 10, rows: 60_000, columns: Vec::new(), shards: Vec::new() }.into())
        };
        let foresight = Foresight::new(platform, None, &experience, &read).with_slowdown(slowdown);
        ask(Question { graph: &self.0, args: &Fields::new(), options: &options, foresight: &foresight })
    }

    fn run(&self, slowdown: Option<Slowdown>, seed: u64) -> Trace {
        self.run_on(&Platform::lambda(), slowdown, seed)
    }

    fn run_on(&self, platform: &Platform, slowdown: Option<Slowdown>, seed: u64) -> Trace {
        self.ask_on(platform, slowdown, |Question { graph, args, options, foresight }| {
            simulate(graph, args, options, foresight, Seed::new(seed))
        })
    }
}

/// The workers of each round, and when it began.
fn teams(trace: &Trace) -> Vec<(f64, u32)> {
    let begun = trace.notices.iter().filter_map(|(at, notice)| match notice {
        Notice::Progress { progress: Progress::Begun(begun), .. } => Some((at.0.secs_f64(), begun.workers)),
        _ => None,
    });
    begun.collect()
}

fn is_whole(trace: &Trace) -> bool {
    matches!(&trace.verdict, Some(Verdict::Succeeded { marks, .. }) if marks.is_empty())
}

/// A training with a range of workers, and with a number of them.
fn training(workers: &str) -> Workflow {
    training_within("@deadline(20min)", workers)
}

fn training_within(limit: &str, workers: &str) -> Workflow {
    Workflow::new(&format!(
        r#"
{limit}
workflow main() -> Int {{
  @resources(memory: 1769MiB)
  let trained = train net(inputs: 784) {{
    data: images
    batch: 4096
    shards: 64
    workers: {workers}
    epochs: 20
  }}
  trained.epochs
}}"#
    ))
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let workflow = training("1..64");
    let [first, again, other] = [1, 1, 2].map(|seed| workflow.run(None, seed));
    assert_eq!(first.notices, again.notices);
    assert_ne!(first.elapsed, other.elapsed);
}

#[test]
fn a_training_that_becomes_slow_gets_more_workers_and_keeps_its_deadline() {
    let workflow = training("1..64");
    let slow = Slowdown { from: Time(Duration::from_millis(200_000)), factor: 3.0 };
    let mut kept = 0;
    for seed in 0..10 {
        let trace = workflow.run(Some(slow), seed);
        assert!(is_whole(&trace), "{seed}: {:?}", trace.verdict);
        assert!(trace.elapsed <= Duration::from_millis(1_200_000));
        let (before, after): (Vec<_>, Vec<_>) = teams(&trace).into_iter().partition(|(at, _)| *at <= 200.0);
        let (settled, most) = (before.last().unwrap().1, after.iter().map(|(_, workers)| *workers).max().unwrap());
        assert!(most > settled, "{seed}: {:?}", teams(&trace));
        kept += usize::from(is_whole(&training(&settled.to_string()).run(Some(slow), seed)));
    }
    // Those who were enough before are hardly ever now.
    assert!(kept <= 3, "{kept}");
}

/// A search by successive halving whose trials would take far longer than there is time or money.
fn searching(limit: &str, workers: &str) -> Workflow {
    Workflow::new(&format!(
        r#"
import std/search.{{asha}}
import std/space.{{log_uniform}}

{limit}
workflow main() -> Int {{
  @resources(memory: 1769MiB)
  let best = search net(inputs: 784) {{
    data: images
    batch: 4096
    shards: 16
    workers: {workers}
    maximize: valid.accuracy
    strategy: asha(trials: 200, max_epochs: 16, reduction: 4)
    space {{ lr: log_uniform(1e-3, 1e-1) }}
  }}
  best.epochs
}}"#
    ))
}

#[test]
fn a_search_that_runs_out_of_time_or_money_brings_its_best_to_the_end() {
    let (deadline, budget) = (Duration::from_millis(720_000), 0.05);
    for limit in ["@deadline(12min)", "@budget($0.05)"] {
        let workflow = searching(limit, "1");
        let mut epochs = 0;
        for seed in 0..10 {
            let trace = workflow.run(None, seed);
            let Some(Verdict::Succeeded { value, marks }) = &trace.verdict else { panic!("{:?}", trace.verdict) };
            assert_eq!(marks.len(), 1, "{marks:?}");
            let is_kept =
                if limit.contains("deadline") { trace.elapsed <= deadline } else { trace.spent.to_f64() <= budget };
            assert!(is_kept, "{limit}: {} {}", trace.elapsed, trace.spent);
            epochs += value.as_int().unwrap();
        }
        // Of 160. Where trials begin to the end, the best ones get through 64 and 52 epochs.
        assert!(epochs >= 120, "{limit}: {epochs}");
    }
}

#[test]
fn a_search_leaves_the_steps_that_follow_what_they_are_thought_to_need() {
    let text = r#"
import std/metrics.{accuracy}
import std/search.{random}
import std/space.{log_uniform}

@deadline(12min)
workflow main() -> Float {
  let best = search net(inputs: 784) {
    data: images
    batch: 4096
    epochs: 1
    maximize: valid.accuracy
    strategy: random(trials: 1000)
    space { lr: log_uniform(1e-3, 1e-1) }
  }
  let score = evaluate best.model() { data: images.test, metrics: [accuracy] }
  score.accuracy
}"#;
    let workflow = Workflow::new(text);
    let searched = |trace: &Trace| {
        let done = trace.notices.iter().find_map(|(at, notice)| match notice {
            Notice::StepDone { step, .. } if &*step.0 == "main/best" => Some(at.0.secs_f64()),
            _ => None,
        });
        done.unwrap()
    };
    let [unplanned, planned] = [false, true].map(|is_planned| {
        workflow.ask(None, |question| {
            let plan = if is_planned { question.outlook(20, Seed::new(0)).plan() } else { Plan::default() };
            let options = Options { plan, ..question.options.clone() };
            simulate(question.graph, question.args, &options, question.foresight, Seed::new(1))
        })
    });
    for trace in [&unplanned, &planned] {
        assert!(matches!(trace.verdict, Some(Verdict::Succeeded { .. })), "{:?}", trace.verdict);
    }
    assert!(
        searched(&unplanned) < 540.0 && searched(&planned) > 600.0,
        "{} {}",
        searched(&unplanned),
        searched(&planned)
    );
}

#[test]
fn a_training_leaves_the_steps_that_follow_the_money_they_are_thought_to_need() {
    let judged = |index: usize| {
        format!("  let score{index} = evaluate trained.model() {{ data: images.test, metrics: [accuracy] }}\n")
    };
    let judged: String = (0..5).map(judged).collect();
    let text = |workers: &str| {
        format!(
            "import std/metrics.{{accuracy}}\n\n@budget($0.01)\nworkflow main() -> Float {{\n  let trained = train \
             net(inputs: 784) {{ data: images, batch: 4096, shards: 16, workers: {workers}, epochs: 1000 }}\n{judged}  \
             score0.accuracy + score4.accuracy\n}}"
        )
    };
    for workers in ["1", "4", "1..4"] {
        let workflow = Workflow::new(&text(workers));
        let [unplanned, planned] = [false, true].map(|is_planned| {
            workflow.ask(None, |question| {
                let free = Options { enforce: false, ..question.options.clone() };
                let outlook = Question { options: &free, ..question }.outlook(5, Seed::new(0));
                let plan = if is_planned { outlook.plan() } else { Plan::default() };
                let options = Options { plan, ..question.options.clone() };
                simulate(question.graph, question.args, &options, question.foresight, Seed::new(1))
            })
        });
        let is_poor = |trace: &Trace| matches!(&trace.verdict, Some(Verdict::Failed { failure, .. }) if failure.kind == Kind::BudgetExceeded);
        assert!(is_poor(&unplanned), "{workers}: {:?}", unplanned.verdict);
        let is_done = matches!(planned.verdict, Some(Verdict::Succeeded { .. }));
        assert!(is_done && planned.spent.to_f64() > 0.008, "{workers}: {} {:?}", planned.spent, planned.verdict);
    }
}

#[test]
fn the_best_of_a_search_get_the_workers_that_the_others_had() {
    let trace = searching("@deadline(12min)", "1..16").run(None, 0);
    let alone = trace.notices.iter().find(|(_, notice)| matches!(notice, Notice::Limit { .. })).unwrap().0.0.secs_f64();
    let (before, after): (Vec<_>, Vec<_>) = teams(&trace).into_iter().partition(|(at, _)| *at < alone);
    let most = |teams: &[(f64, u32)]| teams.iter().map(|(_, workers)| *workers).max().unwrap();
    assert!(most(&after) >= 4 * most(&before), "{before:?}, then {after:?}");
}

#[test]
fn what_is_charged_is_what_the_rounds_held() {
    let trace = training("1..64").run(None, 3);
    let prices = Prices::embedded();
    let (begins, end) = (teams(&trace), trace.elapsed.secs_f64());
    let ends = begins.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let rate = prices.rate(Size::from_mib(1769)).to_f64();
    let held: f64 = begins.iter().zip(ends).map(|((at, workers), end)| f64::from(*workers) * (end - at) * rate).sum();
    let spent = trace.spent.to_f64();
    assert!((spent / held - 1.0).abs() < 0.01, "{spent} and {held}");
}

#[test]
fn steps_that_wait_for_nothing_have_time_to_spare() {
    let workflow = Workflow::new(
        r#"
workflow main() -> Int {
  let long = train net(inputs: 784) { data: images, batch: 256, epochs: 20 }
  let short = train net(inputs: 784) { data: images, batch: 256, epochs: 1 }
  long.epochs + short.epochs
}"#,
    );
    let outlook = workflow.ask(None, |question| question.outlook(20, Seed::new(0)));
    let row = |name: &str| outlook.rows.iter().find(|row| &*row.name == name).unwrap();
    assert_eq!(outlook.critical, ["main/long"]);
    let (long, short) = (row("long"), row("short"));
    assert_eq!(long.slack, Some(0.0));
    let spare = long.seconds.median() - short.seconds.median();
    assert!((short.slack.unwrap() / spare - 1.0).abs() < 0.01);
    assert_eq!((long.basis, long.count), (Some(Basis::Reckoned), 1.0));
}

#[test]
fn what_would_let_limits_hold_does() {
    let text = |deadline: &str, epochs: i64| {
        format!(
            "@deadline({deadline})\nworkflow main(epochs: Int = {epochs}) -> Int {{\n  let trained = train net(inputs: 784) \
             {{ data: images, batch: 256, epochs: epochs }}\n  trained.epochs\n}}"
        )
    };
    let outlook = |deadline: &str, epochs: i64| {
        let workflow = Workflow::new(&text(deadline, epochs));
        let args = Fields::from([("epochs".into(), crate::value::Value::Int(epochs))]);
        workflow.ask(None, |question| {
            let question = Question { args: &args, ..question };
            let outlook = question.outlook(100, Seed::new(0));
            let wishes = question.wishes(&outlook, Seed::new(0));
            (outlook, wishes)
        })
    };
    let (tight, wishes) = outlook("30min", 50);
    assert!(tight.ends.kept() < 0.3 && !tight.blamed.is_empty(), "{:?} {:?}", tight.ends, tight.seconds.median());
    let [Wish::Limits { deadline: Some(deadline), budget: None }, Wish::Param { value, instead_of: 50, .. }] =
        &wishes[..]
    else {
        panic!("{wishes:?}")
    };
    assert!(outlook(&deadline.to_string(), 50).0.ends.kept() >= 0.9);
    assert!(*value > 1 && outlook("30min", *value).0.ends.kept() >= 0.9);
}

#[test]
fn a_training_spends_its_whole_budget_and_no_more() {
    let budget = 0.045;
    let (mut whole, mut least) = (0, budget);
    for seed in 0..12 {
        let trace = training_within("@budget($0.045)", "1..64").run(None, seed);
        let spent = trace.spent.to_f64();
        assert!(spent <= budget, "{seed}: {spent}");
        least = spent.min(least);
        whole += usize::from(is_whole(&trace));
    }
    // One worker comes to $0.023, eight to $0.056.
    assert!(whole >= 10 && least > 0.9 * budget, "{whole}, {least}");
}

#[test]
fn as_many_workers_begin_as_did_best_from_beginning_to_end() {
    let outlook = training_within("@deadline(8min)", "1..64").ask(None, |question| question.outlook(40, Seed::new(0)));
    let row = outlook.rows.iter().find(|row| &*row.name == "trained").unwrap();
    let chosen = row.choice.as_ref().and_then(|choice| choice.workers.as_ref()).unwrap();
    assert_eq!(chosen.tried.iter().map(|tried| tried.with).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64]);
    let best = chosen.best.unwrap();
    assert_eq!((row.team.unwrap().workers, outlook.plan().step("main/trained").unwrap().workers), (best, chosen.best));
    // With a deadline it is the cheapest that keeps it. Fewer miss it, more cost more.
    let dollars = |workers: u32| chosen.tried.iter().find(|tried| tried.with == workers).unwrap().dollars;
    for Tried { with, dollars: price, kept, .. } in &chosen.tried {
        assert!((*kept >= SURE) == (*with >= best) && (*with <= best || *price > dollars(best)), "{:?}", chosen.tried);
    }
    assert!(best > 1);
}

/// Trainings side by side, whose gradients of 23 MB are summed by so many workers each.
fn side_by_side(trainings: usize, workers: u32) -> Workflow {
    let training = |index: usize| {
        format!(
            "  @resources(memory: 1769MiB)\n  let t{index} = train net(inputs: 784) {{ data: images, batch: 2048, \
             shards: 256, workers: {workers}, epochs: 50 }}\n"
        )
    };
    let trainings: String = (0..trainings).map(training).collect();
    Workflow::new(&format!("workflow main() -> Int {{\n{trainings}  t0.epochs\n}}"))
}

#[test]
fn trainings_side_by_side_share_the_store() {
    let times = |workers: u32| [1, 2, 3].map(|count| side_by_side(count, workers).run(None, 0).elapsed.secs_f64());
    // One keeps it busy for two thirds of the time.
    let [one, two, three] = times(256);
    assert!((1.3..1.6).contains(&(two / one)) && (1.4..1.6).contains(&(three / two)), "{one} {two} {three}");
    // It has room for a few of these.
    let [one, two, three] = times(8);
    assert!(two / one < 1.1 && three / one < 1.1, "{one} {two} {three}");
}

#[test]
fn steps_that_follow_find_workers_that_have_begun() {
    let steps: String = (1..10).map(|step| format!("  let s{step} = run work(s{}.of)\n", step - 1)).collect();
    let task = "task work(of: Int) -> { of: Int } {\n  command: [\"true\"]\n}\n";
    let workflow =
        Workflow::new(&format!("{task}workflow main() -> Int {{\n  let s0 = run work(1)\n{steps}  s9.of\n}}"));
    let platform = Platform::lambda();
    let (cold, warm) = (platform.start.median, platform.warm.unwrap().start.median);
    let [found, all_new] = [platform.warm, None].map(|warm| {
        let platform = Platform { warm, ..platform.clone() };
        workflow.run_on(&platform, None, 0).elapsed.secs_f64()
    });
    // All but the first.
    let saved = all_new - found;
    assert!((saved / (9.0 * (cold - warm)) - 1.0).abs() < 0.3, "{saved}");
}
