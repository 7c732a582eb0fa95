//! What learns from its results must do better than chance, on functions whose least value is known.

use super::*;
use crate::value::Fields;
use std::f64::consts::PI;

fn number(point: &Fields, name: &str) -> f64 {
    point[name].as_f64().unwrap()
}

fn uniform(low: f64, high: f64) -> Distribution {
    Distribution::Uniform { low, high }
}

/// Branin's function, whose least value is 0.3979.
fn branin() -> (Space, fn(&Fields) -> f64) {
    let space = Space(vec![dimension("x", 0, uniform(-5.0, 10.0)), dimension("y", 1, uniform(0.0, 15.0))]);
    (space, |point| {
        let (x, y) = (number(point, "x"), number(point, "y"));
        let bend = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
        bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
    })
}

/// The squared distance from a point in four dimensions, by orders of magnitude.
fn sphere() -> (Space, fn(&Fields) -> f64) {
    let log = |low: f64, high: f64| Distribution::LogUniform { low, high };
    let dimensions = ["a", "b", "c", "d"].into_iter().zip(0..);
    let space = Space(dimensions.map(|(name, var)| dimension(name, var, log(1e-5, 1.0))).collect());
    (space, |point| {
        let far = |(name, middle): (&str, f64)| (number(point, name).log10() - middle).powi(2);
        [("a", -1.0), ("b", -2.0), ("c", -3.0), ("d", -4.0)].into_iter().map(far).sum()
    })
}

/// A made-up training: the optimizers have settings of their own, and some trials fail.
fn mixed() -> (Space, fn(&Fields) -> f64) {
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

fn hartmann6() -> (Space, fn(&Fields) -> f64) {
    let space = Space(
        ["a", "b", "c", "d", "e", "f"].into_iter().zip(0..).map(|(n, v)| dimension(n, v, uniform(0.0, 1.0))).collect(),
    );
    (space, |point| {
        let a = [
            [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
            [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
            [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
            [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
        ];
        let p = [
            [1312., 1696., 5569., 124., 8283., 5886.],
            [2329., 4135., 8307., 3736., 1004., 9991.],
            [2348., 1451., 3522., 2883., 3047., 6650.],
            [4047., 8828., 8732., 5743., 1091., 381.],
        ];
        let c = [1.0, 1.2, 3.0, 3.2];
        let x: Vec<f64> = ["a", "b", "c", "d", "e", "f"].iter().map(|n| number(point, n)).collect();
        -(0..4)
            .map(|i| c[i] * (-(0..6).map(|j| a[i][j] * (x[j] - p[i][j] * 1e-4).powi(2)).sum::<f64>()).exp())
            .sum::<f64>()
    })
}

fn rosenbrock() -> (Space, fn(&Fields) -> f64) {
    let space = Space(vec![dimension("x", 0, uniform(-5.0, 10.0)), dimension("y", 1, uniform(-5.0, 10.0))]);
    (space, |point| {
        let (x, y) = (number(point, "x"), number(point, "y"));
        100.0 * (y - x * x).powi(2) + (1.0 - x).powi(2)
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

#[test]
fn experiment() {
    let trials: i64 = std::env::var("TRIALS").map_or(60, |t| t.parse().unwrap());
    let seeds: u64 = std::env::var("SEEDS").map_or(20, |t| t.parse().unwrap());
    let parallel: usize = std::env::var("PARALLEL").map_or(1, |t| t.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_else(|_| "random tpe gp".into());
    for (name, case) in [
        ("branin", branin as fn() -> (Space, fn(&Fields) -> f64)),
        ("sphere", sphere),
        ("mixed", mixed),
        ("hartmann6", hartmann6),
        ("rosenbrock", rosenbrock),
    ] {
        for kind in only.split(' ') {
            let strategy = call(
                kind,
                &[("trials", Value::Int(trials)), ("startup", Value::Int(10)), ("candidates", Value::Int(24))],
            );
            let begun = std::time::Instant::now();
            let values: Vec<f64> = (0..seeds)
                .map(|seed| {
                    let (space, f) = case();
                    best(space, f, &strategy, parallel, seed)
                })
                .collect();
            println!(
                "{name:10} {kind:7} {:.5}  worst {:.5} ({:.2?})",
                median(values.clone()),
                values.iter().copied().fold(f64::MIN, f64::max),
                begun.elapsed()
            );
        }
    }
}
