mod formats;

use super::*;
use crate::{
    store::Objects,
    units::Percent,
    value::{Call, Fields, Location, Split, Value},
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn dataset(files: &[&str]) -> Dataset {
    let percent = |points: i64| Percent::new(points.into());
    Dataset {
        name: "table".into(),
        files: files.iter().map(|file| Location::Path((*file).into())).collect(),
        format: Call::new("csv", Fields::new()),
        label: Some("y".into()),
        columns: Vec::new(),
        shape: Vec::new(),
        test_files: Vec::new(),
        split: Split { train: percent(60), valid: percent(20), test: percent(20), seed: 1 },
        standardize: false,
        scale: 1.0,
        part: Part::Whole,
    }
}

fn images(files: &[&str]) -> Dataset {
    Dataset { format: Call::new("idx", Fields::new()), label: None, ..dataset(files) }
}

fn read(dataset: &Dataset, folder: &Path) -> Result<Data, DataError> {
    load(dataset, &Files::find(dataset, folder, &Objects::open(folder.join("objects")))?)
}

/// `x` counts rows, `y` is a class of two.
fn rows(range: std::ops::Range<usize>) -> Vec<u8> {
    let rows = range.map(|row| format!("{row},{}\n", if row % 2 == 0 { "even" } else { "odd" }));
    format!("x,y\n{}", rows.collect::<String>()).into_bytes()
}

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let head = [0, 0, 8, sizes.len() as u8];
    head.into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes())).chain(values.iter().copied()).collect()
}

proptest! {
    #[test]
    fn a_split_deals_out_every_row_once(count in 3_usize..200, train in 1_i64..80, valid in 0_i64..20, seed: u64) {
        let folder = folder(&[("a.csv", &rows(0..count))]);
        let percent = |points: i64| Percent::new(points.into());
        let split = Split { train: percent(train), valid: percent(valid), test: percent(100 - train - valid), seed };
        let dataset = Dataset { split, ..dataset(&["a.csv"]) };
        let Ok(data) = read(&dataset, folder.path()) else {
            // A share of no more than half a row is none.
            prop_assert!(count as i64 * train <= 50);
            return Ok(());
        };
        let mut all = [&data.train, &data.valid, &data.test].map(|table| table.features.clone()).concat();
        all.sort_by(f32::total_cmp);
        prop_assert_eq!(all, (0..count).map(|row| row as f32).collect::<Vec<_>>());
        prop_assert_eq!(&data, &read(&dataset, folder.path()).unwrap());
    }
}

#[test]
fn packed_files_and_patterns_are_read_as_one_table() {
    let plain = folder(&[("all.csv", &rows(0..30))]);
    let cut = folder(&[("data/2.csv.gz", &packed(&rows(10..30))), ("data/1.csv.gz", &packed(&rows(0..10)))]);
    let (whole, parts) =
        (read(&dataset(&["all.csv"]), plain.path()).unwrap(), read(&dataset(&["data/*.csv.gz"]), cut.path()).unwrap());
    assert_eq!(whole.train, parts.train);
    assert_eq!(parts.facts.shards, ["data/1.csv.gz", "data/2.csv.gz"]);
    assert_eq!((parts.facts.rows, parts.facts.width, parts.facts.classes), (30, 1, 2));
    assert_ne!(whole.hash, parts.hash, "the hash is that of the files");
}

#[test]
fn a_standard_is_learned_on_the_training_part_alone() {
    let folder = folder(&[("a.csv", &rows(0..50))]);
    let data = read(&Dataset { standardize: true, ..dataset(&["a.csv"]) }, folder.path()).unwrap();
    let mean = |table: &Table| table.features.iter().map(|value| f64::from(*value)).sum::<f64>() / table.rows() as f64;
    let square =
        |table: &Table| table.features.iter().map(|value| f64::from(value * value)).sum::<f64>() / table.rows() as f64;
    let seen = |part| data.part(part, part, &data.lens).unwrap();
    assert!(mean(&seen(Part::Train)).abs() < 1e-6);
    assert!((square(&seen(Part::Train)) - 1.0).abs() < 1e-6);
    assert!(mean(&seen(Part::Test)).abs() > 1e-3, "chance alone would have to make it zero");
    let plain = read(&dataset(&["a.csv"]), folder.path()).unwrap();
    assert_ne!(plain.hash, data.hash, "the hash is also that of how the files are read");
}

#[test]
fn labels_are_classes_or_numbers() {
    let kinds = |labels: &[&str]| {
        let table = labels.iter().enumerate().map(|(row, label)| format!("{row},{label}\n")).collect::<String>();
        let folder = folder(&[("a.csv", format!("x,y\n{table}").as_bytes())]);
        read(&dataset(&["a.csv"]), folder.path()).unwrap().facts.classes
    };
    assert_eq!(kinds(&["no", "yes", "no", "maybe", "no"]), 3);
    assert_eq!(kinds(&["10", "2", "2", "10", "2"]), 2);
    assert_eq!(kinds(&["1.0", "0.0", "1.0", "0.0", "1.0"]), 2);
    assert_eq!(kinds(&["1.5", "2", "2", "10", "2"]), 0);
    let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(kinds(&many.iter().map(String::as_str).collect::<Vec<_>>()), 0);
}

#[test]
fn images_come_with_their_labels() {
    let pixels: Vec<u8> = (0..5 * 6).collect();
    let files = folder(&[
        ("train-images-idx3-ubyte.gz", &packed(&idx(&[5, 2, 3], &pixels))),
        ("train-labels-idx1-ubyte.gz", &packed(&idx(&[5], &[0, 1, 2, 1, 0]))),
    ]);
    let data = read(&images(&["train-images-idx3-ubyte.gz"]), files.path()).unwrap();
    assert_eq!(data.train.shape, [1, 2, 3]);
    assert_eq!((data.facts.rows, data.facts.width, data.facts.classes), (5, 6, 3));
    for table in [&data.train, &data.valid, &data.test] {
        let Labels::Classes { indices, .. } = &table.labels else { panic!("images have classes") };
        for (row, label) in table.features.chunks_exact(6).zip(indices) {
            let number = row[0] as usize / 6;
            assert_eq!(*label, [0, 1, 2, 1, 0][number]);
        }
    }
}

#[test]
fn broken_images_are_told_of() {
    let said = |images_file: &[u8], labels: &[u8]| {
        let files = folder(&[("images-idx3", images_file), ("labels-idx1", labels)]);
        let error = read(&images(&["images-idx3"]), files.path()).unwrap_err();
        error.to_string()
    };
    let good = idx(&[2, 1, 1], &[1, 2]);
    let labels = idx(&[2], &[0, 1]);
    insta::assert_snapshot!(said(b"", &labels), @"`images-idx3` can't be read as idx: it does not start with two zero bytes");
    insta::assert_snapshot!(said(b"\0\0\x08\x03\0\0", &labels), @"`images-idx3` can't be read as idx: it ends within its sizes");
    insta::assert_snapshot!(said(&good[..good.len() - 1], &labels), @"`images-idx3` can't be read as idx: its sizes are 2×1×1, which does not fit the 1 bytes that follow");
    insta::assert_snapshot!(said(b"\0\0\x07\x01\0\0\0\x01a", &labels), @"`images-idx3` can't be read as idx: it holds numbers of an unknown type, 0x07");
    insta::assert_snapshot!(said(&good, &idx(&[3], &[0, 1, 0])), @"`images-idx3` holds 2 samples, but `labels-idx1` 3 labels");
    insta::assert_snapshot!(said(&idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), &labels), @"`images-idx3` can't be read as idx: its sizes are 4294967295×4294967295×4294967295, which does not fit the 0 bytes that follow");
    insta::assert_snapshot!(said(&packed(&good)[..12], &labels), @"`images-idx3` can't be read: incomplete deflate stream");
}

#[test]
fn a_stored_file_is_read_where_it_lies() {
    let folder = folder(&[]);
    let objects = Objects::open(folder.path().join("objects"));
    let stored = objects.put_bytes("clean.csv", &rows(0..10)).unwrap();
    let dataset = Dataset { files: Location::all(&Value::Artifact(Box::new(stored))).unwrap(), ..dataset(&[]) };
    let data = read(&dataset, folder.path()).unwrap();
    assert_eq!(data.facts.shards, ["clean.csv"]);
    assert_eq!(data.facts.rows, 10);
}

#[test]
fn other_data_is_seen_as_the_model_learned_to_see() {
    let all = format!("x,z,y\n{}", "1,10,ant\n2,20,bee\n3,30,cow\n1,10,ant\n2,20,bee\n3,30,cow\n".repeat(5));
    // Another order of columns, another column, fewer classes.
    let other = format!("z,w,x,y\n{}", "10,7,1,bee\n20,7,2,cow\n".repeat(5));
    let folder = folder(&[("all.csv", all.as_bytes()), ("other.csv", other.as_bytes())]);
    let read = |file: &str| {
        let mut dataset = Dataset { standardize: true, ..dataset(&[file]) };
        dataset.split =
            Split { train: Percent::new(100.into()), valid: Percent::default(), test: Percent::default(), seed: 1 };
        read(&dataset, folder.path()).unwrap()
    };
    let (learned, shown) = (read("all.csv"), read("other.csv"));
    let own = learned.part(Part::Train, Part::Train, &learned.lens).unwrap();
    let seen = shown.part(Part::Train, Part::Train, &learned.lens).unwrap();
    assert_eq!(seen.shape, [2]);
    let names = ["ant", "bee", "cow"].map(str::to_owned).to_vec();
    assert_eq!(seen.labels, Labels::Classes { indices: [1, 2].repeat(5), names });
    assert_eq!(seen.features[..2], own.features[..2], "the first row of both is 1 and 10");
    assert!(learned.part(Part::Train, Part::Train, &shown.lens).is_err(), "`w` is missing");

    let strange = Lens { classes: Some(vec!["ant".into(), "bee".into()]), ..Lens::default() };
    let error = learned.part(Part::Train, Part::Train, &strange).unwrap_err();
    assert_eq!(error.to_string(), "`table` has the label `cow`, which the model was not trained on");
}
