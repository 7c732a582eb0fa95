use super::*;
use crate::{
    expr::Var,
    search::{
        cube::Coordinate::{self, Absent, Choice, Number},
        space::{Dimension, Distribution},
    },
    value::Value,
};

fn space(distributions: Vec<Distribution>) -> Space {
    let dimension =
        |(distribution, var)| Dimension { name: format!("d{var}").into(), var: Var(var), distribution, cond: None };
    Space(distributions.into_iter().zip(0..).map(dimension).collect())
}

fn interval() -> Distribution {
    Distribution::Uniform { low: 0.0, high: 1.0 }
}

fn options(count: i64) -> Distribution {
    Distribution::Choice((0..count).map(|option| Value::String(option.to_string().into())).collect())
}

#[test]
fn a_density_is_one_over_the_whole_space() {
    let space = space(vec![interval(), options(3)]);
    let points: Vec<Point> =
        (0..40).map(|index| vec![Number((index * index % 40) as f64 / 40.0), Choice(index % 2)]).collect();
    for count in [0, 1, 2, 40] {
        let estimator = Estimator::new(&space, &points[..count].iter().collect::<Vec<_>>());
        let steps = 2000;
        let cell = |index: usize| (index as f64 + 0.5) / steps as f64;
        let sum: f64 = (0..steps)
            .flat_map(|index| (0..3).map(move |option| vec![Number(cell(index)), Choice(option)]))
            .map(|at| estimator.log_density(&at).exp() / steps as f64)
            .sum();
        assert!((sum - 1.0).abs() < 1e-4, "{count} points: {sum}");
    }
}

#[test]
fn draws_follow_the_density() {
    let space = space(vec![interval(), options(3)]);
    let points: Vec<Point> = (0..9).map(|index| vec![Number(0.2 + 0.01 * index as f64), Choice(1)]).collect();
    let estimator = Estimator::new(&space, &points.iter().collect::<Vec<_>>());
    let mut generator = Seed::new(1).generator();
    let (mut low, mut own, draws) = (0, 0, 20_000);
    for _ in 0..draws {
        let kernel = estimator.pick(&mut generator);
        let [x, option] = [0, 1].map(|dimension| estimator.draw(kernel, dimension, &mut generator));
        low += usize::from(matches!(x, Number(x) if x < 0.25));
        own += usize::from(option == Choice(1));
    }
    let density = |at: Coordinate, option: usize| estimator.log_density(&vec![at, Choice(option)]).exp();
    let below: f64 = (0..250)
        .flat_map(|index| (0..3).map(move |o| (index, o)))
        .map(|(i, o)| density(Number((i as f64 + 0.5) / 1000.0), o) / 1000.0)
        .sum();
    let option: f64 = (0..1000).map(|index| density(Number((index as f64 + 0.5) / 1000.0), 1) / 1000.0).sum();
    assert!((low as f64 / draws as f64 - below).abs() < 0.02, "{low} of {draws}, {below} expected");
    assert!((own as f64 / draws as f64 - option).abs() < 0.02, "{own} of {draws}, {option} expected");
}

#[test]
fn a_dimension_learns_from_the_points_in_which_it_exists() {
    let space = space(vec![options(2), interval()]);
    let points = [vec![Choice(0), Number(0.1)], vec![Choice(1), Absent], vec![Choice(0), Number(0.2)]];
    let estimator = Estimator::new(&space, &points.iter().collect::<Vec<_>>());
    let along = |option: usize, x: f64| estimator.log_density(&vec![Choice(option), Number(x)]);
    assert!(along(0, 0.15) > along(0, 0.9) + 0.5);
    assert!(along(0, 0.15) - along(0, 0.9) > along(1, 0.15) - along(1, 0.9));
}

#[test]
fn old_points_fade() {
    let space = space(vec![options(2)]);
    // The same number of both options; the second came last.
    let points: Vec<Point> = (0..100).map(|index| vec![Choice(usize::from(index >= 50))]).collect();
    let estimator = Estimator::new(&space, &points.iter().collect::<Vec<_>>());
    assert!(estimator.log_density(&vec![Choice(1)]) > estimator.log_density(&vec![Choice(0)]) + 0.5);
}
