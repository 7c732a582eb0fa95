use super::*;

use crate::{
    expr::{Expr, Native, Var},
    value::Value,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod learning;

fn call(name: &str, args: &[(&str, Value)]) -> Call {
    Call::new(name, args.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn distribution(name: &str, args: &[(&str, Value)]) -> Distribution {
    Distribution::parse(&"x".into(), &Value::Std(call(name, args))).unwrap()
}

fn dimension(name: &str, var: u32, distribution: Distribution) -> Dimension {
    Dimension { name: name.into(), var: Var(var), distribution, cond: None }
}

fn plane() -> Space {
    let low = |low: f64, high: f64| [("low", Value::Float(low)), ("high", Value::Float(high))];
    Space(vec![
        dimension("lr", 10, distribution("log_uniform", &low(1e-4, 1e-1))),
        dimension(
            "width",
            11,
            distribution("choice", &[("options", Value::List(vec![Value::Int(32), Value::Int(64)]))]),
        ),
    ])
}

fn asha(trials: i64) -> Call {
    let int = |value| Value::Int(value);
    call("asha", &[("trials", int(trials)), ("max_epochs", int(9)), ("reduction", int(3)), ("min_epochs", int(1))])
}

fn hyperband(max_epochs: i64) -> Call {
    call("hyperband", &[("max_epochs", Value::Int(max_epochs)), ("reduction", Value::Int(3))])
}

fn tpe(trials: i64, startup: i64) -> Call {
    let int = |value| Value::Int(value);
    call("tpe", &[("trials", int(trials)), ("startup", int(startup)), ("candidates", int(24))])
}

fn gp(trials: i64, startup: i64) -> Call {
    call("gp", &[("trials", Value::Int(trials)), ("startup", Value::Int(startup))])
}

/// A made-up objective of a trial after some epochs; a trial whose rate is too high fails.
fn objective(trial: &Trial, epochs: u64) -> f64 {
    let lr = trial.params["lr"].as_f64().unwrap();
    if lr > 0.08 { f64::NAN } else { 1.0 - (lr.log10() + 2.0).abs() / (1.0 + epochs as f64) }
}

/// Runs a search whose running tasks finish in an order that `pick` decides; gives the order of asking and the end.
fn run(mut search: Search, mut pick: impl FnMut(usize) -> usize) -> (Vec<Task>, Vec<Trial>) {
    let (mut running, mut asked) = (Vec::<Task>::new(), Vec::new());
    loop {
        match search.ask().unwrap() {
            Ask::Run(task) => {
                asked.push(task.clone());
                running.push(task);
            }
            Ask::Over if running.is_empty() => return (asked, search.trials().to_vec()),
            Ask::Over | Ask::Wait => {
                let task = running.remove(pick(running.len()));
                let value =
                    objective(&search.trials()[task.trial as usize], task.epochs.map_or(9, |(epochs, _)| epochs));
                search.tell(&task, Some(value));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_search_does_not_depend_on_the_order_of_results(
        seed: u64, parallel in 1_usize..8, picks in prop::collection::vec(0_usize..64, 200), kind in 0..6
    ) {
        let strategy = match kind {
            0 => call("random", &[("trials", Value::Int(20))]),
            1 => call("grid", &[("points", Value::Int(5))]),
            2 => asha(20),
            3 => hyperband(9),
            4 => tpe(20, 5),
            _ => gp(12, 5),
        };
        let search = || Search::new(plane(), &strategy, parallel, Seed::new(seed), true).unwrap();
        let mut next = picks.iter().cycle();
        let straight = run(search(), |_| 0);
        let shuffled = run(search(), |count| next.next().unwrap() % count);
        prop_assert_eq!(straight, shuffled);
    }

    #[test]
    fn draws_stay_within_bounds(seed: u64, low in -1e6..1e6, width in 0.0..1e6) {
        let ends = |low: Value, high: Value| [("low", low), ("high", high)];
        let mut generator = Seed::new(seed).generator();
        for _ in 0..20 {
            let drawn = distribution("uniform", &ends(Value::Float(low), Value::Float(low + width))).draw(&mut generator);
            prop_assert!((low..=low + width).contains(&drawn.as_f64().unwrap()));
            let drawn = distribution("int", &ends(Value::Int(low as i64), Value::Int(low as i64 + 3))).draw(&mut generator);
            prop_assert!((low as i64..=low as i64 + 3).contains(&drawn.as_int().unwrap()));
            let drawn = distribution("log_uniform", &ends(Value::Float(1e-9), Value::Float(1.0))).draw(&mut generator);
            prop_assert!((1e-9..=1.0).contains(&drawn.as_f64().unwrap()));
        }
    }
}

#[test]
fn asha_halves() {
    let (asked, _) = run(Search::new(plane(), &asha(27), 4, Seed::new(1), true).unwrap(), |_| 0);
    let mut rungs = BTreeMap::<u64, usize>::new();
    for task in &asked {
        *rungs.entry(task.epochs.unwrap().0).or_default() += 1;
    }
    assert_eq!(rungs[&1], 27);
    // Asynchronous promotion errs on the side of promoting too many (section 3.3 of the paper).
    assert!((9..=14).contains(&rungs[&3]), "{rungs:?}");
    assert!((3..=7).contains(&rungs[&9]), "{rungs:?}");
}

#[test]
fn asha_never_promotes_what_failed() {
    let mut search = Search::new(plane(), &asha(9), 1, Seed::new(1), true).unwrap();
    while let Ask::Run(task) = search.ask().unwrap() {
        assert_eq!(task.rung, Some(0));
        search.tell(&task, Some(f64::NAN));
    }
    assert_eq!(search.best(), None);
}

#[test]
fn the_best_go_on_once_no_trial_begins_any_more() {
    let mut search = Search::new(plane(), &asha(27), 2, Seed::new(1), true).unwrap();
    let mut value = BTreeMap::new();
    for begun in 0..8 {
        let Ask::Run(task) = search.ask().unwrap() else { panic!("it waits") };
        if begun == 5 {
            search.narrow(search.decisions());
        }
        let of = objective(&search.trials()[task.trial as usize], task.epochs.unwrap().0);
        value.insert(task.trial, of);
        search.tell(&task, Some(of));
    }
    let begun = search.trials().len();
    while let Ask::Run(task) = search.ask().unwrap() {
        search.tell(&task, value.get(&task.trial).copied());
    }
    assert_eq!(search.trials().len(), begun);
    // As many as can be under way reach the end, which are the best.
    let ends =
        |search: &Search| search.decisions.iter().filter(|of| of.rung == 2).map(|of| of.trial).collect::<Vec<_>>();
    let mut best: Vec<(u64, f64)> = value.into_iter().filter(|(_, value)| value.is_finite()).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (mut ended, mut leaders) = (ends(&search), best.iter().take(2).map(|(trial, _)| *trial).collect::<Vec<_>>());
    ended.sort_unstable();
    leaders.sort_unstable();
    assert_eq!(ended, leaders);
}

/// How many trials end each rung, by the trial that a bracket begins with.
fn climbed(search: Search) -> BTreeMap<(u64, u64), usize> {
    let (asked, _) = run(search, |_| 0);
    let mut bracket = BTreeMap::new();
    let mut climbed = BTreeMap::new();
    for task in asked {
        let (epochs, _) = task.epochs.unwrap();
        let start = *bracket.entry(task.trial).or_insert(epochs);
        *climbed.entry((start, epochs)).or_default() += 1;
    }
    climbed
}

#[test]
fn hyperband_has_the_brackets_of_its_paper() {
    let search = Search::new(plane(), &hyperband(81), 1, Seed::new(1), true).unwrap();
    assert_eq!(search.total(), 81 + 34 + 15 + 8 + 5);
    // Table 1 of the paper: by the epochs of the first rung, those of each rung and how many trials end it.
    let table = [
        (1, &[(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)][..]),
        (3, &[(3, 34), (9, 11), (27, 3), (81, 1)]),
        (9, &[(9, 15), (27, 5), (81, 1)]),
        (27, &[(27, 8), (81, 2)]),
        (81, &[(81, 5)]),
    ];
    let table = table.iter().flat_map(|(start, rungs)| rungs.iter().map(|(epochs, count)| ((*start, *epochs), *count)));
    for parallel in [1, 4, 50] {
        let search = Search::new(plane(), &hyperband(81), parallel, Seed::new(1), true).unwrap();
        assert_eq!(climbed(search), table.clone().collect(), "{parallel} at a time");
    }
}

#[test]
fn hyperband_reaches_the_last_epoch_from_any_start() {
    for (epochs, total) in [(1, 1), (2, 1), (3, 3 + 2), (10, 9 + 5 + 3), (26, 9 + 5 + 3), (27, 27 + 12 + 6 + 4)] {
        let search = Search::new(plane(), &hyperband(epochs), 2, Seed::new(1), true).unwrap();
        assert_eq!(search.total(), total, "{epochs}");
        let (asked, _) = run(search, |_| 0);
        assert!(asked.iter().all(|task| task.epochs.unwrap().1 == epochs as u64));
        assert!(asked.iter().any(|task| task.epochs.unwrap().0 == epochs as u64));
    }
}

#[test]
fn hyperband_goes_on_with_what_is_left_when_most_fail() {
    let mut search = Search::new(plane(), &hyperband(9), 1, Seed::new(1), true).unwrap();
    let mut last = 0;
    while let Ask::Run(task) = search.ask().unwrap() {
        // Of the nine trials of the first bracket two give numbers, where three could go on.
        let works = task.trial >= 9 || task.trial % 5 == 1;
        last += usize::from(task.trial < 9 && task.rung == Some(2));
        search.tell(&task, works.then_some(task.trial as f64));
    }
    assert_eq!(last, 1);
    assert_eq!(search.best().map(|(trial, _)| trial), Some(search.total() - 1));
}

#[test]
fn what_learns_reads_no_result_that_may_be_missing() {
    for strategy in [tpe(16, 4), gp(16, 4)] {
        let parallel = 3;
        let asked = |change: u64| {
            let mut search = Search::new(plane(), &strategy, parallel, Seed::new(5), true).unwrap();
            let mut running = std::collections::VecDeque::new();
            while search.trials().len() < 13 {
                match search.ask().unwrap() {
                    Ask::Run(task) => running.push_back(task),
                    _ => {
                        let task: Task = running.pop_front().unwrap();
                        let value = objective(&search.trials()[task.trial as usize], 9);
                        search.tell(&task, Some(if task.trial >= change { value + 7.0 } else { value }));
                    }
                }
            }
            search.trials().iter().map(|trial| trial.params.clone()).collect::<Vec<_>>()
        };
        // Trial 12 is the first that reads the result of trial 9.
        let (usual, changed) = (asked(99), asked(9));
        assert_eq!(usual[..12], changed[..12]);
        assert_ne!(usual[12], changed[12]);
    }
}

#[test]
fn what_learns_minimizes_as_it_maximizes() {
    for strategy in [tpe(14, 4), gp(14, 4)] {
        let asked = |larger: bool| {
            let mut search = Search::new(plane(), &strategy, 1, Seed::new(5), larger).unwrap();
            while let Ask::Run(task) = search.ask().unwrap() {
                let value = objective(&search.trials()[task.trial as usize], 9);
                search.tell(&task, Some(if larger { value } else { -value }));
            }
            search.trials().iter().map(|trial| trial.params.clone()).collect::<Vec<_>>()
        };
        assert_eq!(asked(true), asked(false));
    }
}

#[test]
fn what_learns_goes_on_when_all_fails() {
    for strategy in [tpe(14, 4), gp(14, 4)] {
        let mut search = Search::new(plane(), &strategy, 2, Seed::new(1), true).unwrap();
        while let Ask::Run(task) = search.ask().unwrap() {
            search.tell(&task, None);
        }
        let (trials, draws) = (search.trials(), plane());
        assert_eq!(trials.len(), 14);
        assert_eq!(trials[13].params, draws.draw(Seed::new(1).child(13)).unwrap());
    }
}

#[test]
fn of_equals_the_first_is_best() {
    let strategy = call("random", &[("trials", Value::Int(4))]);
    let mut search = Search::new(plane(), &strategy, 4, Seed::new(1), false).unwrap();
    let tasks: Vec<Task> = std::iter::from_fn(|| match search.ask().unwrap() {
        Ask::Run(task) => Some(task),
        _ => None,
    })
    .collect();
    for (task, value) in tasks.iter().zip([None, Some(2.0), Some(1.0), Some(1.0)]) {
        search.tell(task, value);
    }
    assert_eq!(search.best(), Some((2, 1.0)));
}

#[test]
fn a_grid_takes_every_combination() {
    let search = Search::new(plane(), &call("grid", &[("points", Value::Int(4))]), 1, Seed::new(1), true).unwrap();
    let (_, trials) = run(search, |_| 0);
    let points: Vec<String> = trials.iter().map(|trial| Value::Record(trial.params.clone()).to_string()).collect();
    assert_eq!(points.len(), 8);
    assert_eq!(points[0], "(lr: 0.0001, width: 32)");
    assert_eq!(points[7], "(lr: 0.1, width: 64)");
}

#[test]
fn draws_that_a_model_begins_with_lie_apart() {
    let space = plane();
    let draws: Vec<Fields> = (0..10).map(|number| space.draw_apart(Seed::new(3), number, 10).unwrap()).collect();
    let order = |draw: &Fields| ((draw["lr"].as_f64().unwrap().log10() + 4.0) / 0.3) as usize;
    let mut strata: Vec<usize> = draws.iter().map(order).collect();
    strata.sort_unstable();
    assert_eq!(strata, (0..10).collect::<Vec<_>>());
    assert_eq!(draws.iter().filter(|draw| draw["width"] == Value::Int(32)).count(), 5);
}

#[test]
fn a_dimension_exists_where_its_condition_holds() {
    let mut space = plane();
    let is_wide = Expr::native(Native::Eq, vec![Expr::Var(Var(11)), Expr::Const(Value::Int(64))]);
    let uniform = distribution("uniform", &[("low", Value::Float(0.0)), ("high", Value::Float(1.0))]);
    space.0.push(Dimension { cond: Some(is_wide), ..dimension("drop", 12, uniform) });
    for trial in 0..50 {
        let point = space.draw(Seed::new(trial)).unwrap();
        assert_eq!(point["drop"] != Value::None, point["width"] == Value::Int(64));
    }
    assert_eq!(space.grid(2).unwrap().len(), 2 * (1 + 2));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let parse = |name: &str, args: &[(&str, Value)]| {
        Distribution::parse(&"x".into(), &Value::Std(call(name, args))).unwrap_err().to_string()
    };
    let ends = |low: f64, high: f64| [("low", Value::Float(low)), ("high", Value::Float(high))];
    insta::assert_snapshot!(parse("uniform", &ends(2.0, 1.0)), @"nothing can be drawn for the dimension `x`: it can't go from 2 to 1");
    insta::assert_snapshot!(parse("log_uniform", &ends(0.0, 1.0)), @"nothing can be drawn for the dimension `x`: orders of magnitude start above zero, not at 0");
    insta::assert_snapshot!(parse("pow2", &[("low", Value::Int(5)), ("high", Value::Int(7))]), @"nothing can be drawn for the dimension `x`: there is no power of two from 5 to 7");
    insta::assert_snapshot!(parse("choice", &[("options", Value::List(vec![]))]), @"nothing can be drawn for the dimension `x`: there is nothing to choose from");
    let search = |strategy: &Call| Search::new(plane(), strategy, 1, Seed::new(1), true).unwrap_err().to_string();
    insta::assert_snapshot!(search(&call("random", &[("trials", Value::Int(0))])), @"`trials` of `random` must be at least 1, not 0");
    insta::assert_snapshot!(search(&call("grid", &[("points", Value::Int(1_000_000))])), @"the grid has more than 100000 points");
    insta::assert_snapshot!(search(&hyperband(0)), @"`max_epochs` of `hyperband` must be at least 1, not 0");
    insta::assert_snapshot!(search(&tpe(0, 10)), @"`trials` of `tpe` must be at least 1, not 0");
    insta::assert_snapshot!(search(&tpe(20, 0)), @"`startup` of `tpe` must be at least 1, not 0");
    let halve = |max_epochs: i64, reduction: i64| {
        let args = [("max_epochs", Value::Int(max_epochs)), ("reduction", Value::Int(reduction))];
        search(&call("hyperband", &args))
    };
    insta::assert_snapshot!(halve(81, 1), @"`reduction` of `hyperband` must be at least 2, not 1");
    insta::assert_snapshot!(halve(i64::MAX, 2), @"`hyperband` from 1 to 9223372036854775807 epochs has more than 100000 trials; a larger `reduction` has fewer");
    let candidates = [("trials", Value::Int(20)), ("startup", Value::Int(5)), ("candidates", Value::Int(1_000_000))];
    insta::assert_snapshot!(search(&call("tpe", &candidates)), @"`candidates` of `tpe` can't be above 10000: it is 1000000");
    let steps =
        [("trials", 9), ("max_epochs", 3), ("reduction", 3), ("min_epochs", 4)].map(|(n, v)| (n, Value::Int(v)));
    insta::assert_snapshot!(search(&call("asha", &steps)), @"`min_epochs` of `asha` can't be above `max_epochs`: 4 is above 3");
}
