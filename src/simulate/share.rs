//! How those get on that use a store together.

/// What one of them would use of it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// The share of the time in which it would keep all of it busy, from 0 to 1.
    pub share: f64,
    /// By how many workers.
    pub workers: u32,
}

/// How quickly each gets on, in times of how it would alone. Who can't use more gets what he uses; of the rest each worker gets
/// the same (max-min fairness: Bertsekas and Gallager, *Data Networks*, 6.5.2).
pub fn speeds(demands: &[Demand]) -> Vec<f64> {
    let mut speeds = vec![1.0; demands.len()];
    if demands.iter().map(|demand| demand.share).sum::<f64>() <= 1.0 {
        return speeds;
    }
    let modesty = |index: &usize| demands[*index].share / f64::from(demands[*index].workers.max(1));
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by(|a, b| modesty(a).total_cmp(&modesty(b)));
    let mut left = 1.0;
    let mut workers: f64 = demands.iter().map(|demand| f64::from(demand.workers.max(1))).sum();
    for index in order {
        let Demand { share, workers: own } = demands[index];
        let own = f64::from(own.max(1));
        let given = share.min(left * own / workers);
        (left, workers) = (left - given, workers - own);
        if given < share {
            speeds[index] = given / share;
        }
    }
    speeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demand(share: f64, workers: u32) -> Demand {
        Demand { share, workers }
    }

    #[test]
    fn nobody_waits_while_there_is_enough() {
        assert_eq!(speeds(&[demand(0.5, 4), demand(0.4, 8), demand(0.0, 1)]), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn those_who_use_much_share_what_the_others_leave() {
        // 0.9 is left for two, of which one has twice the workers.
        let found = speeds(&[demand(0.9, 2), demand(0.1, 2), demand(0.9, 4)]);
        let wanted = [0.3 / 0.9, 1.0, 0.6 / 0.9];
        found
            .iter()
            .zip(wanted)
            .for_each(|(found, wanted)| assert!((found - wanted).abs() < 1e-12, "{found} {wanted}"));
    }

    proptest! {
        #[test]
        fn a_store_is_used_whole_but_no_more(demands in prop::collection::vec((0.0..1.0_f64, 1..500_u32), 1..20)) {
            let demands: Vec<Demand> = demands.into_iter().map(|(share, workers)| demand(share, workers)).collect();
            let speeds = speeds(&demands);
            prop_assert!(speeds.iter().all(|speed| *speed > 0.0 && *speed <= 1.0), "{:?}", speeds);
            let used: f64 = demands.iter().zip(&speeds).map(|(demand, speed)| demand.share * speed).sum();
            let wanted: f64 = demands.iter().map(|demand| demand.share).sum();
            prop_assert!((used - wanted.min(1.0)).abs() < 1e-9, "{} of {}", used, wanted);
        }
    }
}
