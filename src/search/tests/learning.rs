//! What learns from its results must do better than chance, on functions whose least value is known.

use super::*;
use crate::value::Fields;
use std::f64::consts::PI;

/// A space, and what is to be made small over it.
type Problem = (Space, fn(&Fields) -> f64);

fn number(point: &Fields, name: &str) -> f64 {
    point[name].as_f64().unwrap()
}

fn uniform(low: f64, high: f64) -> Distribution {
    Distribution::Uniform { low, high }
}

/// Branin's function, whose least value is 0.3979.
fn branin() -> Problem {
    let space = Space(vec![dimension("x", 0, uniform(-5.0, 10.0)), dimension("y", 1, uniform(0.0, 15.0))]);
    (space, |point| {
        let (x, y) = (number(point, "x"), number(point, "y"));
        let bend = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
        bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
    })
}

/// The squared distance from a point in four dimensions, by orders of magnitude.
fn sphere() -> Problem {
    let log = |low: f64, high: f64| Distribution::LogUniform { low, high };
    let dimensions = ["a", "b", "c", "d"].into_iter().zip(0..);
    let space = Space(dimensions.map(|(name, var)| dimension(name, var, log(1e-5, 1.0))).collect());
    (space, |point| {
        let far = |(name, middle): (&str, f64)| (number(point, name).log10() - middle).powi(2);
        [("a", -1.0), ("b", -2.0), ("c", -3.0), ("d", -4.0)].into_iter().map(far).sum()
    })
}

/// A made-up training: the optimizers have settings of their own, and some trials fail.
fn mixed() -> Problem {
    let options = ["sgd", "adam", "none"].map(|name| Value::String(name.into())).into();
    let is =
        |name: &str| Some(Expr::native(Native::Eq, vec![Expr::Var(Var(0)), Expr::Const(Value::String(name.into()))]));
    let space = Space(vec![
        dimension("optimizer", 0, Distribution::Choice(options)),
        Dimension { cond: is("sgd"), ..dimension("momentum", 1, uniform(0.0, 1.0)) },
        Dimension { cond: is("adam"), ..dimension("beta", 2, uniform(0.0, 1.0)) },
        dimension("rate", 3, Distribution::LogUniform { low: 1e-6, high: 1.0 }),
        dimension("layers", 4, Distribution::Int { low: 1, high: 12 }),
        dimension("shift", 5, Distribution::Normal { mean: 3.0, deviation: 2.0 }),
    ]);
    (space, |point| {
        let own = match &point["optimizer"] {
            Value::String(name) if &**name == "sgd" => 0.5 + (number(point, "momentum") - 0.9).abs(),
            Value::String(name) if &**name == "adam" => (number(point, "beta") - 0.3).abs(),
            _ => 2.0,
        };
        let rate = number(point, "rate").log10() + 3.0;
        let (layers, shift) = (number(point, "layers") - 7.0, number(point, "shift") - 4.0);
        if rate > 2.5 { f64::NAN } else { own + rate * rate + (layers / 4.0).powi(2) + shift * shift / 4.0 }
    })
}

/// The best value of a search that trains `parallel` at a time.
fn best(space: Space, objective: impl Fn(&Fields) -> f64, strategy: &Call, parallel: usize, seed: u64) -> f64 {
    let mut search = Search::new(space, strategy, parallel, Seed::new(seed), false).unwrap();
    let mut running = std::collections::VecDeque::new();
    loop {
        match search.ask().unwrap() {
            Ask::Run(task) => running.push_back(task),
            Ask::Over | Ask::Wait => {
                let Some(task) = running.pop_front() else { break };
                let value = objective(&search.trials()[task.trial as usize].params);
                search.tell(&task, Some(value));
            }
        }
    }
    search.best().unwrap().1
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// How far the best of 30 trials is from the least value that there is: the median over 20 seeds, for a strategy and for
/// random draws.
fn regrets(case: fn() -> Problem, least: f64, strategy: &Call, parallel: usize) -> (f64, f64) {
    let regret = |strategy: &Call| {
        let best = |seed| {
            let (space, objective) = case();
            best(space, objective, strategy, parallel, seed) - least
        };
        median((0..20).map(best).collect())
    };
    (regret(strategy), regret(&call("random", &[("trials", Value::Int(30))])))
}

#[test]
fn tpe_is_better_than_chance() {
    for (name, case, least) in
        [("branin", branin as fn() -> Problem, 0.3979), ("sphere", sphere, 0.0), ("mixed", mixed, 0.0)]
    {
        let (learnt, drawn) = regrets(case, least, &tpe(30, 10), 1);
        assert!(learnt < drawn / 2.0, "{name}: {learnt} against {drawn}");
    }
}

#[test]
fn gp_is_better_than_chance() {
    for (name, case, least) in
        [("branin", branin as fn() -> Problem, 0.3979), ("sphere", sphere, 0.0), ("mixed", mixed, 0.0)]
    {
        let (learnt, drawn) = regrets(case, least, &gp(30, 10), 1);
        assert!(learnt < drawn / 3.0, "{name}: {learnt} against {drawn}");
    }
}

#[test]
fn trials_at_the_same_time_learn_as_well() {
    for strategy in [tpe(30, 10), gp(30, 10)] {
        let (learnt, drawn) = regrets(sphere, 0.0, &strategy, 4);
        assert!(learnt < drawn / 2.0, "{}: {learnt} against {drawn}", strategy.name);
    }
}
