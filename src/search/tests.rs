use super::*;

use crate::{
    expr::{Expr, Native, Var},
    value::Value,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod learning;

fn call(name: &str, args: &[(&str, Value)]) -> Call {
    Call { name: name.into(), args: args.iter().map(|(name, value)| ((*name).into(), value.clone())).collect() }
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

/// A made-up objective of a trial after some epochs.
fn objective(trial: &Trial, epochs: u64) -> f64 {
    let lr = trial.params["lr"].as_f64().unwrap();
    1.0 - (lr.log10() + 2.0).abs() / (1.0 + epochs as f64)
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
        seed: u64, parallel in 1_usize..8, picks in prop::collection::vec(0_usize..64, 200), kind in 0..3
    ) {
        let strategy = match kind {
            0 => call("random", &[("trials", Value::Int(20))]),
            1 => call("grid", &[("points", Value::Int(5))]),
            _ => asha(20),
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
}
