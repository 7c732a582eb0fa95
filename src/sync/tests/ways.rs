//! What every way of exchange comes to. What it moves through each of the stores, `tests/stores/exchange.rs` counts.

use super::*;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = f32> {
    let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, -0.0, f32::MIN_POSITIVE / 3.0, -1e-45, f32::MAX, 1.0];
    prop_oneof![2 => -1e3_f32..1e3, 1 => any::<f32>(), 1 => prop::sample::select(odd.to_vec())]
}

/// The rows of some workers, of a length that is hard to cut or any.
fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1_usize..=17).prop_flat_map(|of| {
        let length = prop_oneof![prop::sample::select(vec![0, 1, of - 1, of, of + 1]), 0_usize..70];
        length.prop_flat_map(move |length| prop::collection::vec(prop::collection::vec(number(), length), of))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_way_gives_the_sum_of_the_tree(rows in rows()) {
        let wanted = bits(&tree_sum(rows.clone()));
        for exchange in Exchange::ALL {
            let store = Arc::new(Shelf::default());
            let (sums, aggregated) = Setup::new(rows.len(), exchange).run(&|| Own::open(&store), |mut peers, _| {
                let row = rows[peers.rank()].clone();
                peers.begin(Bucket { row, exact: false });
                let sums = peers.finish().unwrap();
                peers.leave().unwrap();
                sums
            });
            for sums in sums {
                prop_assert_eq!(sums.len(), 1);
                prop_assert_eq!(bits(&sums[0]), wanted.clone(), "{:?}", exchange);
            }
            prop_assert_eq!(aggregated.unwrap_or(Ok(())), Ok(()));
            prop_assert_eq!(store.rest(), [], "{:?}", exchange);
        }
    }
}

#[test]
fn an_aggregator_moves_what_the_formula_says() {
    let (store, counted) = (Arc::new(Shelf::default()), Mutex::new(Vec::new()));
    let open = || {
        let own = Own::open(&store);
        counted.lock().unwrap().push(Arc::clone(&own));
        own
    };
    Setup::new(3, Exchange::InStore).run(&open, |mut peers, _| {
        peers.begin(Bucket { row: vec![1.0; 10_000], exact: false });
        peers.finish().unwrap();
        peers.leave().unwrap();
    });
    let load = Exchange::InStore.load(3, 3, 10_000, 4);
    // Beside its rows it got signs of life, which are small.
    let down = counted.lock().unwrap().iter().map(|own| own.traffic().down).max().unwrap();
    assert!((load.down..load.down + 1000).contains(&down), "{down}");
}

#[test]
fn many_buckets_and_turns_come_in_their_order() {
    for exchange in Exchange::ALL {
        let store = Arc::new(Shelf::default());
        let (all, _) = Setup::new(3, exchange).run(&|| Own::open(&store), |mut peers, _| {
            for turn in 0..4_u8 {
                for bucket in 0..7_u8 {
                    let row = vec![f32::from(turn * 10 + bucket) + peers.rank() as f32; 5];
                    peers.begin(Bucket { row, exact: bucket == 2 });
                }
                // Between a bucket's beginning and its end too.
                let own = Bytes::from(vec![turn, peers.rank() as u8]);
                let all = [0, 1, 2].map(|rank| Bytes::from(vec![turn, rank]));
                assert_eq!(peers.gather(own).unwrap(), all);
                for (bucket, sum) in (0..).zip(peers.finish().unwrap()) {
                    assert_eq!(sum, vec![f32::from(turn * 10 + bucket) * 3.0 + 3.0; 5]);
                }
                assert!(peers.waited() > Duration::ZERO);
                assert_eq!(peers.waited(), Duration::ZERO);
            }
            // No more than the last two turns.
            let rest = store.rest().iter().filter(|key| key.as_str().contains("/all/")).count();
            peers.gather(Bytes::new()).unwrap();
            peers.leave().unwrap();
            rest
        });
        assert!(all.iter().all(|rest| *rest <= 6), "{all:?}");
        assert_eq!(store.rest(), []);
    }
}
