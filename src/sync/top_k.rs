//! Only the largest numbers, with error feedback: what is left out of a gradient is added to the next, so that nothing is
//! lost, only late (Stich, Cordonnier and Jaggi, “Sparsified SGD with memory”, 2018).

/// Keeps the largest numbers of `row` by their distance from zero, the first among equals; the others become 0. `left`, what
/// was left out before, is added first, and becomes what is left out now; it begins anew for a row of another length.
pub(super) fn thin(row: &mut [f32], left: &mut Vec<f32>, share: f64) {
    if left.len() == row.len() {
        row.iter_mut().zip(&*left).for_each(|(number, left)| *number += left);
    }
    let kept = ((row.len() as f64 * share).ceil() as usize).max(1);
    *left = vec![0.0; row.len()];
    if kept >= row.len() {
        return;
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.select_nth_unstable_by(kept, |a, b| row[*b].abs().total_cmp(&row[*a].abs()).then(a.cmp(b)));
    for index in &order[kept..] {
        left[*index] = std::mem::take(&mut row[*index]);
    }
}

#[cfg(test)]
mod tests {
    use super::thin;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_largest_go_first(
            row in prop::collection::vec((-50_i16..50).prop_map(f32::from), 0..30),
            before in prop::collection::vec((-50_i16..50).prop_map(f32::from), 0..30),
            share in 0.0_f64..1.2,
        ) {
            let (mut kept, mut left) = (row.clone(), before.clone());
            thin(&mut kept, &mut left, share);
            for (index, number) in row.iter().enumerate() {
                let before = if before.len() == row.len() { before[index] } else { 0.0 };
                prop_assert_eq!(kept[index] + left[index], number + before);
                prop_assert!(kept[index] == 0.0 || left[index] == 0.0);
            }
            let count = kept.iter().filter(|number| **number != 0.0).count();
            prop_assert!(count <= ((row.len() as f64 * share).ceil() as usize).max(1));
            let least = kept.iter().map(|n| n.abs()).filter(|n| *n > 0.0).fold(f32::INFINITY, f32::min);
            prop_assert!(left.iter().all(|left| left.abs() <= least));
        }
    }

    #[test]
    fn the_first_of_equals_is_kept() {
        let (mut row, mut left) = (vec![1.0, -2.0, 2.0, f32::NAN], vec![]);
        thin(&mut row, &mut left, 0.5);
        assert_eq!(row[..3], [0.0, -2.0, 0.0]);
        assert!(row[3].is_nan());
        assert_eq!(left, [1.0, 0.0, 2.0, 0.0]);
    }
}
