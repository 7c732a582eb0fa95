use super::*;
use crate::{data::lens::Standard, seed::Seed};
use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

/// Samples of some different numbers, with a class for each.
fn table(rows: usize, width: usize, colours: u64) -> Table {
    let mut generator = Seed::new(colours).generator();
    let features = (0..rows * width).map(|_| generator.below(colours) as f32 * 0.1).collect();
    let indices = (0..rows).map(|_| generator.below(3) as u32).collect();
    let names = ["a", "b", "c"].map(str::to_owned).into();
    Table { features, shape: vec![width], labels: Labels::Classes { indices, names } }
}

struct Case {
    folder: tempfile::TempDir,
    train: Table,
    valid: Table,
    shards: Vec<Vec<usize>>,
}

impl Case {
    /// Samples dealt out to four shards of four pieces each, and ten chunks to judge.
    fn new() -> Self {
        let (rows, width) = (4000, 1 << 10);
        let shards = (0..4).map(|shard| (shard..rows).step_by(4).rev().collect()).collect();
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            train: table(rows, width, 200),
            valid: table(300, width, 300),
            shards,
        };
        case.deal();
        case
    }

    fn deal(&self) -> Deal {
        let Self { train, valid, shards, .. } = self;
        let lens = Lens { standard: Some(Standard::learn(train)), ..Lens::default() };
        let hash = Hash::of(b"data");
        let about = About { train: Outline::of(train), valid: Outline::of(valid), lens, hash, valid_hash: None };
        let cards = Cards { about: &about, train, valid, shards, chunk: 30, prints: Vec::new() };
        Deal::write(cards, self.folder.path(), self.folder.path()).unwrap()
    }

    fn hand(&self) -> Hand {
        Hand::open(self.folder.path()).unwrap()
    }

    /// All of a shard, as a hand has it.
    fn shard(&self, hand: &Hand, shard: usize) -> Result<Table, DealtError> {
        hand.samples((0..self.shards[shard].len()).map(|place| (shard, place)))
    }

    /// A piece of a shard.
    fn piece(&self, shard: usize, index: usize) -> PathBuf {
        path(self.folder.path(), &self.hand().deal().shards[shard][index])
    }
}

/// What of a hand's pieces has come once nothing more does.
fn fetched(hand: &Hand, pieces: u64) -> Fetched {
    let began = Instant::now();
    while hand.fetched().pieces < pieces {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", hand.fetched());
        thread::sleep(Duration::from_millis(1));
    }
    hand.fetched()
}

#[test]
fn each_code_gives_back_every_bit() {
    for (rows, width, colours, size) in [(100, 5, 200, 1), (3000, 9, 4000, 2), (300, 9, 1 << 40, 4), (1, 3, 9, 1)] {
        let mut table = table(rows, width, colours);
        table.features[..3].copy_from_slice(&[-0.0, f32::NAN, f32::INFINITY]);
        let order: Vec<usize> = (0..rows).rev().collect();
        let bytes = piece::Encoder::default().encode(&table, &order);
        let different = if size == 4 { 0 } else { bytes.len() - 4 - rows * 4 - rows * width * size };
        assert_eq!(bytes.len(), 4 + different + rows * 4 + rows * width * size);
        let piece = piece::Piece::decode(&bytes, rows, width).unwrap();
        let (mut features, wanted) = (Vec::new(), table.select(&order));
        (0..rows).for_each(|row| piece.add_to(&mut features, row));
        let bits = |features: &[f32]| features.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&features), bits(&wanted.features));
        let marks: Vec<u32> = (0..piece.rows()).map(|row| piece.mark(row)).collect();
        assert_eq!(wanted.labels.like(marks), Some(wanted.labels));
        for (rows, width) in [(rows + 1, width), (rows, width + 1), (usize::MAX, width), (rows, usize::MAX)] {
            assert!(piece::Piece::decode(&bytes, rows, width).is_none());
        }
        (0..bytes.len()).step_by(7).for_each(|end| assert!(piece::Piece::decode(&bytes[..end], rows, width).is_none()));
    }
    // A place of a colour that there is not.
    let mut bytes = piece::Encoder::default().encode(&table(10, 4, 3), &[0, 1]);
    *bytes.last_mut().unwrap() = 200;
    assert!(piece::Piece::decode(&bytes, 2, 4).is_none());
}

#[test]
fn a_hand_gets_its_share_once() {
    let case = Case::new();
    let whole = case.hand().deal().bytes();
    for of in [2, 4] {
        for rank in 0..of {
            let (shards, chunks) = (rank * 4 / of..(rank + 1) * 4 / of, rank * 10 / of..(rank + 1) * 10 / of);
            let hand = case.hand();
            hand.want(shards.clone(), chunks.clone());
            for shard in shards.clone() {
                assert_eq!(case.shard(&hand, shard).unwrap(), case.train.select(&case.shards[shard]));
            }
            let judged: Vec<usize> = (chunks.start * 30..chunks.end * 30).collect();
            assert_eq!(hand.chunks(chunks.clone()).unwrap(), case.valid.select(&judged));
            let Fetched { pieces, bytes } = hand.fetched();
            assert_eq!(pieces as usize, 4 * shards.len() + chunks.len());
            assert!(bytes.abs_diff(whole / of as u64) < whole / 20, "{bytes} of {whole}, {of} hands");
            // The next round of as many workers fetches nothing.
            hand.want(shards.clone(), chunks.clone());
            case.shard(&hand, shards.start).unwrap();
            assert_eq!(hand.fetched().pieces, pieces);
            // What others have can't be had.
            assert!(case.shard(&hand, shards.end % 4).is_err());
        }
    }
}

#[test]
fn a_change_of_workers_fetches_what_is_missing() {
    let case = Case::new();
    let hand = case.hand();
    hand.want(0..2, 0..0);
    assert_eq!(fetched(&hand, 8).pieces, 8);
    hand.want(1..2, 0..0);
    case.shard(&hand, 1).unwrap();
    assert!(case.shard(&hand, 0).is_err(), "nobody keeps what is not wanted");
    hand.want(1..3, 0..0);
    case.shard(&hand, 1).unwrap();
    case.shard(&hand, 2).unwrap();
    assert_eq!(hand.fetched().pieces, 12);
}

#[test]
fn what_is_lost_or_damaged_is_found_and_made_again() {
    let case = Case::new();
    let all = case.hand().deal().bytes();
    let (lost, damaged) = (case.piece(0, 1), case.piece(1, 2));
    fs::remove_file(&lost).unwrap();
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[5000] ^= 1;
    fs::write(&damaged, &bytes).unwrap();

    let hand = case.hand();
    hand.want(0..1, 0..0);
    let error = case.shard(&hand, 0).unwrap_err();
    assert!(matches!(&error, DealtError::Unreadable { path, .. } if *path == lost), "{error}");
    hand.want(1..2, 0..0);
    assert_eq!(case.shard(&hand, 1).unwrap_err(), DealtError::Damaged(damaged.clone()));
    assert!(!case.hand().deal().is_whole(case.folder.path()));

    let untouched = case.piece(2, 0);
    File::open(&untouched).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(case.deal().bytes(), all);
    assert_eq!(fs::metadata(&untouched).unwrap().modified().unwrap(), std::time::UNIX_EPOCH);
    assert!(case.hand().deal().is_whole(case.folder.path()));
    hand.want(0..2, 0..0);
    case.shard(&hand, 0).unwrap();
    case.shard(&hand, 1).unwrap();
}

#[test]
fn a_list_that_is_damaged_is_none() {
    let case = Case::new();
    let list = case.folder.path().join(LIST);
    let whole = fs::read(&list).unwrap();
    for end in [0, 20, 32, 33, whole.len() - 1] {
        fs::write(&list, &whole[..end]).unwrap();
        assert_eq!(Deal::read(case.folder.path()), Err(DealtError::Damaged(list.clone())));
    }
    for at in [0, 40, whole.len() - 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&list, &bytes).unwrap();
        assert_eq!(Deal::read(case.folder.path()), Err(DealtError::Damaged(list.clone())));
    }
    fs::write(&list, &whole).unwrap();
    assert_eq!(Deal::read(case.folder.path()).unwrap(), case.deal());
}

#[test]
fn dealers_at_the_same_time_are_in_nobodys_way() {
    let case = Case::new();
    let wanted = case.hand().deal().clone();
    for path in [case.piece(0, 0), case.piece(3, 3)] {
        fs::remove_file(path).unwrap();
    }
    thread::scope(|scope| {
        let dealers: Vec<_> = (0..4).map(|_| scope.spawn(|| case.deal())).collect();
        dealers.into_iter().for_each(|dealer| assert_eq!(dealer.join().unwrap(), wanted));
    });
    let mut names: Vec<String> = fs::read_dir(case.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != LIST && name.parse::<Hash>().is_err());
    assert_eq!(names, [] as [String; 0]);
}
