//! The sum of rows in one fixed binary tree: neighbours first, then pairs of pairs.

use super::codec::Form;
use bytes::Bytes;

/// Numbers of each row that are summed at a time: few enough that what many rows have of them stays near the processor.
const BLOCK: usize = 1 << 11;

/// A row of a sum.
pub(super) enum Row<'r> {
    /// The worker's own.
    Own(&'r [f32]),
    /// What another has given.
    Given(Bytes),
}

/// The sum of rows of `length` numbers, the own one as it would be given.
///
/// # Errors
/// Which row can't be read, and why.
pub(super) fn sum(form: Form, rows: &[Row<'_>], length: usize) -> Result<Vec<f32>, (usize, String)> {
    for (index, row) in rows.iter().enumerate() {
        if let Row::Given(bytes) = row {
            form.check(bytes, length).map_err(|reason| (index, reason))?;
        }
    }
    let block = if form.width().is_some() { BLOCK.min(length) } else { length };
    let (mut sum, mut desk) = (Vec::with_capacity(length), vec![0.0; rows.len() * block]);
    for start in (0..length).step_by(block.max(1)) {
        let end = length.min(start + block);
        for (index, (row, numbers)) in rows.iter().zip(desk.chunks_mut(block)).enumerate() {
            let numbers = &mut numbers[..end - start];
            match row {
                Row::Own(row) => {
                    numbers.copy_from_slice(&row[start..end]);
                    form.round(numbers);
                }
                Row::Given(bytes) => {
                    let bytes = form.width().map_or(&**bytes, |width| &bytes[start * width..end * width]);
                    form.decode(bytes, numbers).map_err(|reason| (index, reason))?;
                }
            }
        }
        add(&mut desk, rows.len(), block);
        sum.extend_from_slice(&desk[..end - start]);
    }
    Ok(sum)
}

/// Sums rows that lie behind each other into the first.
fn add(desk: &mut [f32], rows: usize, length: usize) {
    let mut apart = 1;
    while apart < rows {
        for row in (0..rows - apart).step_by(2 * apart) {
            let (left, right) = desk.split_at_mut((row + apart) * length);
            left[row * length..].iter_mut().zip(&right[..length]).for_each(|(left, right)| *left += right);
        }
        apart *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::tree_sum;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn block_by_block_is_the_same_tree(of in 1_usize..12, length in prop_oneof![0_usize..5, 4090_usize..4100]) {
            // Of sizes so far apart that the order of additions shows.
            let value = |rank: usize, index: usize| ((rank * 7 + index) % 23) as f32 * 10_f32.powi((rank % 5 * 3) as i32);
            let rows: Vec<Vec<f32>> = (0..of).map(|rank| (0..length).map(|index| value(rank, index)).collect()).collect();
            for form in [Form::F32, Form::Bf16, Form::Sparse] {
                let seen: Vec<_> = rows.iter().map(|row| form.as_given(row.clone())).collect();
                let given = |(rank, row)| if rank == 1 { Row::Own(row) } else { Row::Given(form.encode(row)) };
                let given: Vec<Row> = rows.iter().map(Vec::as_slice).enumerate().map(given).collect();
                prop_assert_eq!(sum(form, &given, length), Ok(tree_sum(seen)));
            }
        }
    }
}
