use super::*;
use crate::{
    units::Duration,
    value::{Call, Value},
    wire::{Averaging, Codec, Every, Exchange},
};

pub(crate) fn std(name: &str, args: &[(&str, Value)]) -> Value {
    Value::Std(Call::new(name, args.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()))
}

pub(crate) fn ints(values: &[i64]) -> Value {
    Value::List(values.iter().copied().map(Value::Int).collect())
}

pub(crate) fn schedule(values: &[i64], at: &[i64]) -> Value {
    std("schedule", &[("values", ints(values)), ("at", ints(at))])
}

fn range(first: i64, last: i64) -> Value {
    Value::Range(Box::new((Value::Int(first), Value::Int(last))))
}

fn way(name: &str, codec: Value, every: i64, backups: i64) -> Value {
    std(name, &[("codec", codec), ("every", Value::Int(every)), ("backups", Value::Int(backups))])
}

fn again(time: Value, epochs: Value, steps: Value) -> Value {
    std("every", &[("time", time), ("epochs", epochs), ("steps", steps)])
}

/// What is said of a mistake, and how to mend it.
fn said<T: std::fmt::Debug>(result: Result<T, ElasticError>) -> String {
    let error = result.unwrap_err();
    format!("{error}; {}", error.help().unwrap_or_default())
}

#[test]
fn numbers_ranges_and_schedules_of_workers_are_read() {
    assert_eq!(workers(&Value::Int(4)), Ok(Workers::Staged(Staged::fixed(4))));
    assert_eq!(workers(&range(1, 8)), Ok(Workers::Within(1, 8)));
    let staged = Staged { first: 2, later: vec![(3, 4), (6, 1)] };
    assert_eq!(workers(&schedule(&[2, 4, 1], &[3, 6])), Ok(Workers::Staged(staged)));
    assert_eq!(batch(&schedule(&[64, 128], &[5])), Ok(Staged { first: 64, later: vec![(5, 128)] }));
}

#[test]
fn what_makes_no_sense_is_told() {
    for (value, words) in [
        (Value::Int(0), "`workers` must be at least 1, not 0; "),
        (Value::Int(-3), "`workers` must be at least 1, not -3; "),
        (Value::Int(1025), "a training has at most 1024 workers, not 1025; "),
        (Value::Int(i64::MAX), "a training has at most 1024 workers, not 9223372036854775807; "),
        (range(0, 2), "`workers` must be at least 1, not 0; "),
        (range(1, 4096), "a training has at most 1024 workers, not 4096; "),
        (range(8, 2), "`workers: 8..2` ends before it begins; write `workers: 2..8`"),
        (schedule(&[2, 0], &[3]), "`workers` must be at least 1, not 0; "),
        (schedule(&[2, 4], &[0]), "`at` must be at least 1, not 0; "),
    ] {
        assert_eq!(said(workers(&value)), words);
    }
    let help = "behind the first, each value has the epochs that have passed when it begins to hold: \
                `schedule([64, 128], at: [5])`";
    for (value, words) in [
        (schedule(&[], &[]), "a `schedule` needs at least one value"),
        (schedule(&[64, 128], &[]), "`at` needs 1 epoch, one for each value but the first, not 0"),
        (schedule(&[64], &[5, 6]), "`at` needs 0 epochs, one for each value but the first, not 2"),
        (schedule(&[64, 128, 256], &[5, 5]), "the epochs in `at` must grow, but 5 stands behind 5"),
        (schedule(&[64, 128, 256], &[5, 4]), "the epochs in `at` must grow, but 4 stands behind 5"),
    ] {
        assert_eq!(said(batch(&value)), format!("{words}; {help}"));
    }
}

#[test]
fn shards_are_a_power_of_two() {
    let all = [1, 2, 8, 1024].map(|count| shards(&Value::Int(count)));
    assert_eq!(all, [Ok(1), Ok(2), Ok(8), Ok(1024)]);
    for (count, help) in [
        (i64::MIN, "use 1 for a batch that is not cut"),
        (0, "use 1 for a batch that is not cut"),
        (3, "use 2 or 4"),
        (1000, "use 512 or 1024"),
        (2048, "use 1024"),
    ] {
        let message = format!("`shards` must be a power of two up to 1024, not {count}; {help}");
        assert_eq!(said(shards(&Value::Int(count))), message);
    }
}

#[test]
fn every_way_is_read_with_its_codec() {
    for exchange in Exchange::ALL {
        let read = sync(&way(exchange.name(), std("bf16", &[]), 4, 1));
        let averaging = Averaging { codec: Codec::Bf16, every: 4 };
        assert_eq!(read, Ok(Syncing { exchange: Some(exchange), averaging, backups: 1 }));
    }
    assert_eq!(sync(&way("auto", std("f32", &[]), 1, 0)), Ok(Syncing::default()));
    let top =
        |share: &str| sync(&way("auto", std("top_k", &[("share", Value::Percent(share.parse().unwrap()))]), 1, 0));
    assert_eq!(top("0.1%").unwrap().averaging.codec.to_string(), "top_k(0.1%)");
    assert!(top("100%").is_ok());
    for share in ["0%", "100.0001%"] {
        assert!(said(top(share)).starts_with("`top_k` keeps more than 0% of a gradient and at most 100%, not"));
    }
    let plain = |every, backups| said(sync(&way("two_level", std("f16", &[]), every, backups)));
    assert_eq!(plain(0, 0), "`every` must be at least 1, not 0; ");
    assert_eq!(plain(1, -1), "`backups` must be at least 0, not -1; ");
}

#[test]
fn what_comes_again_says_when_once() {
    let (none, time, one) = (|| Value::None, |ms| Value::Duration(Duration::from_millis(ms)), || Value::Int(1));
    assert_eq!(every(&again(time(5), none(), none())), Ok(Every::Time(Duration::from_millis(5))));
    assert_eq!(every(&again(none(), one(), none())), Ok(Every::Epochs(1)));
    assert_eq!(every(&again(none(), none(), one())), Ok(Every::Steps(1)));
    let help = "write `every(2min)`, `every(epochs: 5)` or `every(steps: 1000)`";
    let of = |what: &str| format!("`every` takes one of `time`, `epochs` and `steps`, not {what}; {help}");
    assert_eq!(said(every(&again(none(), none(), none()))), of("none"));
    assert_eq!(said(every(&again(time(5), none(), one()))), of("several"));
    assert_eq!(said(every(&again(time(0), none(), none()))), "`time` of `every` must be longer than nothing, not 0s; ");
    assert_eq!(said(every(&again(none(), Value::Int(0), none()))), "`epochs` must be at least 1, not 0; ");
    assert_eq!(said(every(&again(none(), none(), Value::Int(0)))), "`steps` must be at least 1, not 0; ");
}

#[test]
fn workers_divide_the_shards_and_shards_every_batch() {
    let fixed = |workers| Workers::Staged(Staged::fixed(workers));
    assert_eq!(check_workers(&fixed(8), 8), Ok(()));
    assert_eq!(check_workers(&Workers::Within(3, 5), 8), Ok(()));
    assert_eq!(
        said(check_workers(&fixed(3), 8)),
        "`workers: 3` does not divide the 8 shards of this training; use 1, 2, 4 or 8, or set `shards`"
    );
    assert_eq!(
        said(check_workers(&Workers::Staged(Staged { first: 1, later: vec![(2, 2)] }), 1)),
        "`workers: 2` does not divide the 1 shard of this training; use 1, or set `shards`"
    );
    assert_eq!(
        said(check_workers(&Workers::Within(5, 7), 8)),
        "`workers: 5..7` does not divide the 8 shards of this training; use 1, 2, 4 or 8, or set `shards`"
    );
    let batches = Staged { first: 64, later: vec![(2, 100)] };
    assert_eq!(check_batch(&batches, 4), Ok(()));
    assert_eq!(
        said(check_batch(&batches, 8)),
        "a batch of 100 can't be cut into 8 shards of the same size; set `shards` to 1, 2 or 4, or `batch` to 104"
    );
}

#[test]
fn backups_are_fewer_than_the_workers() {
    let workers = Workers::Within(1, 16);
    assert_eq!(check_backups(0, &Workers::Staged(Staged::fixed(1)), 1), Ok(()));
    assert_eq!(check_backups(3, &workers, 4), Ok(()));
    assert_eq!(said(check_backups(4, &workers, 4)), "`backups` must be below the 4 workers of this training, not 4; ");
    assert_eq!(
        said(check_backups(1, &workers, 1)),
        "`backups` must be below the 1 worker of this training, not 1; set `workers`, or leave `backups` out"
    );
}
