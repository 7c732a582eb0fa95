//! Gradients that are not sent as they are.

use super::*;
use crate::sync::top_k::thin;

fn codecs() -> [Codec; 4] {
    [Codec::F32, Codec::Bf16, Codec::F16, Codec::TopK("10%".parse().unwrap())]
}

#[test]
fn all_workers_have_the_same_bits_in_every_codec() {
    for (exchange, codec) in Exchange::ALL.into_iter().flat_map(|way| codecs().map(|codec| (way, codec))) {
        for of in 1..=7 {
            let store = Arc::new(Shelf::default());
            let setup = Setup { codec, ..Setup::new(of, exchange) };
            let (sums, _) = setup.run(&|| Own::open(&store), |mut peers, _| {
                let row: Vec<f32> = (0..60).map(|i| ((i * 37 + peers.rank() * 11) % 59) as f32 / 7.0 - 4.0).collect();
                let mut sums = Vec::new();
                for _ in 0..2 {
                    peers.begin(Bucket { row: row.clone(), exact: false });
                    peers.begin(Bucket { row: row.clone(), exact: true });
                    sums.extend(peers.finish().unwrap());
                }
                peers.leave().unwrap();
                (row, sums)
            });
            let (rows, sums): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
            let exact = tree_sum(rows);
            for own in &sums {
                assert_eq!(own, &sums[0], "{exchange:?} {codec:?} {of}");
                assert_eq!((&own[1], &own[3]), (&exact, &exact), "{exchange:?} {codec:?} {of}");
            }
            let near = |sum: &f32, exact: &f32| (sum - exact).abs() <= 0.02 * of as f32 * 4.0;
            match codec {
                Codec::F32 => assert_eq!(sums[0][0], exact),
                // Of each worker's 60 numbers 6 were sent.
                Codec::TopK(_) => assert!((1..=6 * of).contains(&sums[0][0].iter().filter(|sum| **sum != 0.0).count())),
                Codec::Bf16 | Codec::F16 => assert!(sums[0][0].iter().zip(&exact).all(|(sum, exact)| near(sum, exact))),
            }
        }
    }
}

/// Where two workers come to from (0, 0), whose losses pull the first number apart and the second towards 1.
fn descend(rate: f32, steps: usize, sum: impl Fn(&mut Peers, Vec<f32>) -> Vec<f32> + Sync) -> Vec<f32> {
    let store = Arc::new(Shelf::default());
    let codec = Codec::TopK("50%".parse().unwrap());
    let setup = Setup { codec, ..Setup::new(2, Exchange::ScatterReduce) };
    let (ends, _) = setup.run(&|| Own::open(&store), |mut peers, _| {
        let pull = if peers.rank() == 0 { 3.0 } else { -3.0 };
        let mut at = vec![0.0_f32; 2];
        for _ in 0..steps {
            let gradient = vec![at[0] + pull, at[1] - 1.0];
            let sum = sum(&mut peers, gradient);
            at.iter_mut().zip(sum).for_each(|(at, sum)| *at -= rate * sum / 2.0);
        }
        peers.leave().unwrap();
        at
    });
    assert_eq!(ends[0], ends[1]);
    ends[0].clone()
}

#[test]
fn what_is_left_out_comes_later_so_that_a_descent_arrives() {
    let fed_back = descend(0.05, 400, |peers, row| {
        peers.begin(Bucket { row, exact: false });
        peers.finish().unwrap().remove(0)
    });
    assert!(fed_back[0].abs() < 0.1 && (fed_back[1] - 1.0).abs() < 0.1, "{fed_back:?}");
    // The larger number alone, time and again: the second is never sent.
    let forgotten = descend(0.05, 400, |peers, mut row| {
        thin(&mut row, &mut Vec::new(), 0.5);
        peers.begin(Bucket { row, exact: true });
        peers.finish().unwrap().remove(0)
    });
    assert_eq!(forgotten[1], 0.0);
}
