//! What every way of exchange comes to, and what it moves.

use super::*;
use crate::{
    store::{Terms, open, serve},
    wire::Load,
};
use proptest::prelude::*;
use std::{
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

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

/// Holds what each worker moves for a bucket to the formula.
fn hold_to_the_formula(
    of: usize,
    exchange: Exchange,
    codec: Codec,
    open: &(dyn Fn() -> Arc<dyn ParameterStore> + Sync),
) {
    let width = if codec == Codec::F32 { 4 } else { 2 };
    for length in [0, 1, of + 1, 1000] {
        let setup = Setup { codec, ..Setup::new(of, exchange) };
        let (moved, _) = setup.run(open, |mut peers, store| {
            let before = store.traffic();
            peers.begin(Bucket { row: vec![1.0; length], exact: false });
            peers.finish().unwrap();
            let after = store.traffic();
            let rank = peers.rank();
            peers.leave().unwrap();
            let moved = Load {
                up: after.up - before.up,
                down: after.down - before.down,
                puts: after.puts - before.puts,
                gets: after.gets - before.gets,
            };
            (rank, moved)
        });
        for (rank, moved) in moved {
            let load = exchange.load(of as u64, rank as u64, length as u64, width);
            assert_eq!(moved, load, "{exchange:?}: worker {rank} of {of}, {length} numbers");
        }
    }
}

#[test]
fn what_is_moved_is_what_the_formulas_say() {
    for exchange in Exchange::ALL {
        for of in [1, 2, 3, 5, 8, 11, 17] {
            let store = Arc::new(Shelf::default());
            hold_to_the_formula(of, exchange, Codec::F32, &|| Own::open(&store));
        }
        let store = Arc::new(Shelf::default());
        hold_to_the_formula(5, exchange, Codec::Bf16, &|| Own::open(&store));
    }
}

/// What every store that several processes can share comes to, at its address.
fn hold_at(address: &str) {
    for exchange in Exchange::ALL {
        let open = || open(address, Terms::new(Key::new(&[&"run"]))).unwrap();
        for of in [2, 5] {
            hold_to_the_formula(of, exchange, Codec::F32, &open);
        }
    }
}

#[test]
fn what_is_moved_through_redis_is_what_the_formulas_say() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new("redis-server");
    server.args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()]);
    let mut server = server.current_dir(&folder).stdout(Stdio::null()).spawn().unwrap();
    let mut tries = 0;
    while TcpStream::connect(address).is_err() {
        tries += 1;
        assert!(tries < 1000, "redis-server does not come up");
        thread::sleep(Duration::from_millis(20));
    }
    let held = std::panic::catch_unwind(|| hold_at(&format!("redis://{address}")));
    server.kill().unwrap();
    server.wait().unwrap();
    held.unwrap();
}

#[test]
fn what_is_moved_through_a_socket_is_what_the_formulas_say() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path().join("store"), Arc::new(Memory::default())).unwrap();
    hold_at(&server.address());
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
