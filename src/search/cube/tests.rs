use super::*;
use proptest::prelude::*;

fn back(distribution: &Distribution, value: Value) {
    let at = distribution.locate(&value);
    assert!(!matches!(at, Coordinate::Number(share) if !(0.0..=1.0).contains(&share)), "{value} lies at {at:?}");
    let back = distribution.value(at);
    match (&value, &back) {
        (Value::Float(a), Value::Float(b)) => assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{a} came back as {b}"),
        _ => assert_eq!(value, back),
    }
}

proptest! {
    #[test]
    fn values_come_back_from_their_coordinates(share in 0.0..1.0, low in -1000_i64..1000, width in 0_i64..1000) {
        let ends = (low as f64, (low + width) as f64);
        let uniform = Distribution::Uniform { low: ends.0, high: ends.1 };
        back(&uniform, Value::Float(between(ends.0, ends.1, share)));
        back(&Distribution::LogUniform { low: 1e-9, high: 1e3 }, Value::Float(log_between(1e-9, 1e3, share)));
        back(&Distribution::Normal { mean: ends.0, deviation: 2.0 }, Value::Float(ends.0 + 12.0 * share - 6.0));
        let whole = low + (share * width as f64) as i64;
        back(&Distribution::Int { low, high: low + width }, Value::Int(whole));
        back(&Distribution::Choice((low..=low + width).map(Value::Int).collect()), Value::Int(whole));
    }
}

#[test]
fn the_widest_ranges_are_walked_from_end_to_end() {
    let whole = Distribution::Int { low: i64::MIN, high: i64::MAX };
    assert_eq!(whole.value(Coordinate::Number(0.0)), Value::Int(i64::MIN));
    assert_eq!(whole.value(Coordinate::Number(1.0)), Value::Int(i64::MAX));
    let high = Distribution::Int { low: i64::MAX - 2, high: i64::MAX };
    (0..3).for_each(|less| back(&high, Value::Int(i64::MAX - less)));
    let wide = Distribution::Uniform { low: f64::MIN, high: f64::MAX };
    assert_eq!(wide.locate(&Value::Float(0.0)), Coordinate::Number(0.5));
    back(&wide, Value::Float(f64::MAX));
    assert_eq!(Distribution::Uniform { low: 2.0, high: 2.0 }.locate(&Value::Float(2.0)), Coordinate::Number(0.5));
}

#[test]
fn numbers_to_choose_from_have_an_order() {
    let choice = |options: &[f64]| Distribution::Choice(options.iter().copied().map(Value::Float).collect());
    assert_eq!(choice(&[1.0, 2.0, 8.0, 9.0]).locate(&Value::Float(2.0)), Coordinate::Number(0.375));
    assert_eq!(choice(&[2.0, 1.0]).locate(&Value::Float(1.0)), Coordinate::Choice(1));
    let words = Distribution::Choice(vec![Value::String("a".into())]);
    assert_eq!(words.locate(&Value::String("a".into())), Coordinate::Choice(0));
}

#[test]
fn what_does_not_exist_lies_nowhere() {
    for distribution in [Distribution::Int { low: 0, high: 9 }, Distribution::Choice(vec![Value::Int(1)])] {
        assert_eq!(distribution.locate(&Value::None), Coordinate::Absent);
    }
}
