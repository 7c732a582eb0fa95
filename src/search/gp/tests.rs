use super::{
    cholesky::Cholesky,
    likelihood::{Problem, priors},
    *,
};
use crate::{
    expr::Var,
    search::{
        history::Observation,
        space::{Dimension, Distribution},
    },
    value::Value,
};

const NUMBERS: [Axis; 2] = [Axis::Numbers; 2];

/// Points in the plane that no two runs of a test differ in.
fn points(count: usize) -> Vec<Point> {
    let mut generator = Seed::new(3).generator();
    (0..count).map(|_| vec![Coordinate::Number(generator.unit()), Coordinate::Number(generator.unit())]).collect()
}

fn wave(point: &Point) -> f64 {
    match point[..] {
        [Coordinate::Number(x), Coordinate::Number(y)] => (5.0 * x).sin() + 0.3 * y,
        _ => 0.0,
    }
}

fn values(points: &[Point]) -> Vec<f64> {
    standardize(&points.iter().map(wave).collect::<Vec<_>>())
}

#[test]
fn a_system_is_solved() {
    let size = 9;
    let entry =
        |row: usize, column: usize| 1.0 / (1.0 + row.abs_diff(column) as f64) + if row == column { 1.0 } else { 0.0 };
    let matrix: Vec<f64> = (0..size).flat_map(|row| (0..size).map(move |column| entry(row, column))).collect();
    let factor = Cholesky::new(size, matrix.clone());
    let wanted: Vec<f64> = (0..size).map(|index| index as f64 - 3.0).collect();
    let times = |x: &[f64]| -> Vec<f64> {
        matrix.chunks(size).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
    };
    let solved = factor.solve(&times(&wanted));
    assert!(solved.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{solved:?}");
    let inverse = factor.inverse();
    for row in 0..size {
        let mut unit = vec![0.0; size];
        unit[row] = 1.0;
        let column = factor.solve(&unit);
        assert!((0..=row).all(|other| (inverse[row * (row + 1) / 2 + other] - column[other]).abs() < 1e-12));
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_posterior() {
    let points = points(12);
    let values = values(&points);
    for axes in [NUMBERS, [Axis::Options, Axis::Numbers], [Axis::Options; 2]] {
        let problem = Problem::new(&axes, &points, &values, priors(2));
        let at = [-0.7, 0.4, -5.0];
        let (_, gradient) = problem.posterior(&at);
        for index in 0..at.len() {
            let moved = |by: f64| {
                let mut at = at;
                at[index] += by;
                problem.posterior(&at).0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[index]).abs() < 1e-5 * slope.abs().max(1.0), "{slope} {gradient:?}");
        }
    }
}

#[test]
fn a_process_knows_what_it_saw_and_guesses_between() {
    let points = points(30);
    let values = values(&points);
    let process = Process::fit(&NUMBERS, points[..25].to_vec(), values[..25].to_vec());
    for (point, value) in points[..25].iter().zip(&values) {
        let (mean, deviation) = process.predict(point);
        assert!((mean - value).abs() < 0.05 && deviation < 0.1, "{value}: {mean} ± {deviation}");
    }
    for (point, value) in points[25..].iter().zip(&values[25..]) {
        let (mean, deviation) = process.predict(point);
        assert!((mean - value).abs() < (4.0 * deviation).max(0.02), "{value}: {mean} ± {deviation}");
    }
}

#[test]
fn an_option_between_two_others_may_be_another_matter() {
    let doubt = |distribution: Distribution| {
        let space = Space(vec![Dimension { name: "d".into(), var: Var(0), distribution, cond: None }]);
        let points: Vec<Point> = (0..8).map(|index| vec![Coordinate::Number((f64::from(index) + 0.5) / 8.0)]).collect();
        let known = points.iter().filter(|point| **point != points[5]).cloned().collect();
        let values = standardize(&[4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 1.0]);
        Process::fit(&Axis::all(&space), known, values).predict(&points[5]).1
    };
    let number = doubt(Distribution::Int { low: 1, high: 8 });
    let option = doubt(Distribution::Choice((0..8).map(|power| Value::Int(1 << power)).collect()));
    assert!(number < 0.1 && option > 0.2, "{number} {option}");
}

#[test]
fn a_belief_changes_the_doubt_and_not_the_guess() {
    let points = points(12);
    let process = Process::fit(&NUMBERS, points[..10].to_vec(), values(&points[..10]));
    let (mean, deviation) = process.predict(&points[10]);
    let other = process.predict(&points[11]).0;
    let believing = process.believe(&points[10..11]);
    let (new, doubt) = believing.predict(&points[10]);
    assert!((new - mean).abs() < 1e-3 && doubt < deviation / 2.0, "{mean} ± {deviation} became {new} ± {doubt}");
    assert!((believing.predict(&points[11]).0 - other).abs() < 1e-3);
}

#[test]
fn costs_far_above_the_middle_are_cut() {
    let costs = standardize(&[3.0, 1e300, 1.0, 1e200, 2.0]);
    assert!(costs.iter().all(|cost| cost.abs() < 3.0), "{costs:?}");
    assert_eq!(costs[1], costs[3]);
    assert!(costs[4] - costs[2] > 0.1);
    assert_eq!(standardize(&[5.0, 5.0]), [0.0; 2]);
    assert!(standardize(&[f64::MIN, 0.0, f64::MAX]).iter().all(|cost| cost.is_finite()));
}

#[test]
fn failures_are_expected_where_trials_failed() {
    let points = points(20);
    let fails = |point: &Point| matches!(point[0], Coordinate::Number(x) if x > 0.6);
    let failed: Vec<bool> = points.iter().map(fails).collect();
    let success = Success::learn(&NUMBERS, points, &failed).unwrap();
    let chance = |x: f64| success.log_chance(&vec![Coordinate::Number(x), Coordinate::Number(0.5)]).exp();
    assert!(chance(0.2) > 0.9 && chance(0.9) < 0.1, "{} {}", chance(0.2), chance(0.9));
    assert!(Success::learn(&[], vec![Vec::new()], &[false]).is_none());
}

#[test]
fn nothing_is_tried_twice_while_there_is_something_else() {
    let mut space = square();
    for dimension in &mut space.0 {
        dimension.distribution = Distribution::Int { low: 0, high: 3 };
    }
    let mut results: Vec<Observation> = space
        .grid(4)
        .unwrap()
        .iter()
        .map(|point| space.locate(point))
        .map(|point| Observation { cost: Some(wave(&point)), point })
        .collect();
    let left = results.remove(5);
    let point = propose(&space, &History { results, pending: Vec::new() }, Seed::new(1)).unwrap();
    assert_eq!(space.locate(&point), left.point);
}

fn square() -> Space {
    let distribution = Distribution::Uniform { low: 0.0, high: 1.0 };
    let dimension = |index| Dimension {
        name: format!("d{index}").into(),
        var: Var(index),
        distribution: distribution.clone(),
        cond: None,
    };
    Space((0..2).map(dimension).collect())
}

#[test]
fn a_long_search_keeps_the_best_in_sight() {
    let space = square();
    let mut results: Vec<Observation> =
        points(2 * MAX_RESULTS).into_iter().map(|point| Observation { cost: Some(wave(&point)), point }).collect();
    // The best lies among the first, far behind the latest.
    let corner = vec![Coordinate::Number(0.94), Coordinate::Number(0.0)];
    results[0] = Observation { cost: Some(wave(&corner)), point: corner };
    let point = propose(&space, &History { results, pending: Vec::new() }, Seed::new(1)).unwrap();
    let at = space.locate(&point);
    assert!(wave(&at) < -0.95, "{at:?}");
}
