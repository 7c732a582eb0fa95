use super::{DataError, Table};
use crate::{seed::Seed, units::Percent, value::Split};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// Deals the rows out to training, validation and test. Rows are shuffled by the split's seed alone, and within a part
/// stand in the order of the files, so that the parts depend on nothing else.
pub fn divide(whole: Table, held_out: Option<Table>, split: &Split) -> Result<[Table; 3], DataError> {
    let sum = split.train.points() + split.valid.points() + split.test.points();
    if sum > Decimal::ONE_HUNDRED {
        return Err(DataError::Split(sum.normalize().to_string()));
    }
    let rows = whole.rows();
    let mut order: Vec<usize> = (0..rows).collect();
    Seed::new(split.seed).child("split").generator().shuffle(&mut order);
    let cut = |upto: Percent| {
        let share = (Decimal::from(rows) * upto.fraction()).round();
        share.to_usize().unwrap_or(rows).min(rows)
    };
    let after_train = cut(split.train);
    let after_valid = cut(Percent::new(split.train.points() + split.valid.points()));
    let after_test = cut(Percent::new(sum));
    let part = |from: usize, to: usize| {
        let mut rows = order[from..to].to_vec();
        rows.sort_unstable();
        whole.select(&rows)
    };
    let test = held_out.unwrap_or_else(|| part(after_valid, after_test));
    Ok([part(0, after_train), part(after_train, after_valid), test])
}
