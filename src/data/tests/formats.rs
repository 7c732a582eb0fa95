//! What each format holds, and that no broken file does harm. The files in `tests/data` are written by the usual programs:
//! `tests/data/write.py`.

use super::*;
use ::parquet::{
    data_type::{ByteArrayType, FloatType},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use std::sync::Arc;
use zip::write::{SimpleFileOptions, ZipWriter};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn format(name: &str, args: &[(&str, Value)]) -> Call {
    Call::new(name, args.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// A data set whose rows are all to train on, so that they stay in order.
fn whole(file: &str, format: Call, label: Option<&str>) -> Dataset {
    let all = Split { train: Percent::new(100.into()), valid: Percent::default(), test: Percent::default(), seed: 0 };
    Dataset { format, label: label.map(Into::into), split: all, ..dataset(&[file]) }
}

fn parquet(file: &str, label: &str) -> Dataset {
    whole(file, format("parquet", &[]), Some(label))
}

fn arrays(file: &str) -> Dataset {
    whole(file, format(if file.ends_with(".npz") { "npz" } else { "safetensors" }, &[]), None)
}

fn named(file: &str, features: &str, labels: &str) -> Dataset {
    let mut dataset = arrays(file);
    dataset.format.args = [("features".into(), text(features)), ("labels".into(), text(labels))].into();
    dataset
}

fn words(file: &str, args: &[(&str, Value)]) -> Dataset {
    whole(file, format("words", args), Some("label"))
}

/// What is said of data that can't be used, and what to do about it.
fn said(dataset: &Dataset, folder: &Path) -> String {
    let error = read(dataset, folder).unwrap_err();
    error.help().map_or_else(|| error.to_string(), |help| format!("{error}; {help}"))
}

#[test]
fn parquet_of_every_packing_and_encoding_is_read_like_csv() {
    let table = read(&Dataset { format: format("csv", &[]), ..parquet("rows.csv", "kind") }, &fixtures()).unwrap();
    assert_eq!(table.lens.classes.as_ref().unwrap().len(), 3);
    for file in ["snappy.parquet", "gzip.parquet", "zstd.parquet", "plain.parquet"] {
        let read = read(&parquet(file, "kind"), &fixtures()).unwrap();
        assert_eq!((&read.train, &read.lens), (&table.train, &table.lens), "{file}");
    }
}

#[test]
fn a_column_of_parquet_can_be_the_label_whatever_it_holds() {
    let texts = said(&parquet("snappy.parquet", "half"), &fixtures());
    assert!(texts.starts_with("`snappy.parquet`: the column `kind` holds texts, not numbers"), "{texts}");
    let chosen = |label: &str| {
        let dataset = Dataset { columns: vec!["single".into()], ..parquet("snappy.parquet", label) };
        read(&dataset, &fixtures()).unwrap().train.labels
    };
    let Labels::Classes { names, .. } = chosen("small") else { panic!("few whole numbers are classes") };
    assert_eq!(names[..3], ["0", "20", "40"]);
    assert_eq!(chosen("half"), Labels::Numbers((0..12).map(|row| row as f32 / 4.0).collect()));
    let Labels::Classes { names, indices } = chosen("even") else { panic!("true and false are classes") };
    assert_eq!((names[0].as_str(), names[1].as_str(), indices[0]), ("false", "true", 1));
}

#[test]
fn what_parquet_holds_and_numbers_can_not_say_is_told_of() {
    let said = |column: &str| {
        let dataset = Dataset { columns: vec![column.into()], ..parquet("other-types.parquet", "label") };
        said(&dataset, &fixtures())
    };
    insta::assert_snapshot!(said("x"), @"`other-types.parquet`, row 2, column `x`: the value is missing; fill or drop missing values in a task that runs before");
    insta::assert_snapshot!(said("day"), @"`other-types.parquet`: the column `day` holds times, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("when"), @"`other-types.parquet`: the column `when` holds times, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("price"), @"`other-types.parquet`: the column `price` holds decimals, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("list"), @"`other-types.parquet`: the column `list` holds lists or records, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("record"), @"`other-types.parquet`: the column `record` holds lists or records, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("bytes"), @"`other-types.parquet`: the column `bytes` holds bytes, not numbers; leave the column out with `columns: [...]`, or turn it into numbers in a task that runs before");
    insta::assert_snapshot!(said("prise"), @"`other-types.parquet` has no column `prise`; did you mean `price`?");
}

#[test]
fn arrays_of_every_kind_and_order_are_the_same_samples() {
    let rows = read(&arrays("arrays.npz"), &fixtures()).unwrap();
    assert_eq!(rows.train.shape, [2, 3]);
    assert_eq!(rows.train.features, (0..72).map(|number| number as f32).collect::<Vec<_>>());
    let names = ["0", "1", "2"].map(str::to_owned).to_vec();
    assert_eq!(rows.train.labels, Labels::Classes { indices: [0, 1, 2].repeat(4), names });
    for file in ["packed.npz", "tensors.safetensors"] {
        assert_eq!(read(&arrays(file), &fixtures()).unwrap().train, rows.train, "{file}");
    }
    let numbers = read(&named("packed.npz", "x", "numbers"), &fixtures()).unwrap();
    assert_eq!(numbers.train.labels, Labels::Numbers((0..12).map(|row| (f64::from(row) / 3.0) as f32).collect()));
}

#[test]
fn arrays_that_can_not_be_used_are_told_of() {
    let said = |dataset: &Dataset| said(dataset, &fixtures());
    insta::assert_snapshot!(said(&named("packed.npz", "z", "y")), @r#"`packed.npz` has no array `z`; there are `names`, `numbers`, `x`, `y`; name two: `npz(features: "x", labels: "y")`"#);
    insta::assert_snapshot!(said(&named("packed.npz", "numbrs", "y")), @"`packed.npz` has no array `numbrs`; did you mean `numbers`?");
    insta::assert_snapshot!(said(&named("packed.npz", "x", "names")), @"`packed.npz`: the array `names` holds texts, which can't be read; store it as numbers of 8 to 64 bits");
    insta::assert_snapshot!(said(&named("packed.npz", "y", "x")), @"the labels in `packed.npz/x` are 12×2×3, not one number for each sample; for rows of zeros and a one, store the place of the one");
    insta::assert_snapshot!(said(&named("tensors.safetensors", "x", "labels")), @r#"`tensors.safetensors` has no array `labels`; there are `x`, `y`; name two: `safetensors(features: "x", labels: "y")`"#);
    insta::assert_snapshot!(said(&arrays("rows.csv")), @"`rows.csv` can't be read as safetensors: header too large; write it anew as safetensors, or name the format that it has, such as `format: csv()`");
    let csv = Dataset { format: format("npz", &[]), ..arrays("rows.csv") };
    insta::assert_snapshot!(said(&csv), @"`rows.csv` can't be read as npz: its archive can't be read: invalid Zip archive: Could not find EOCD; write it anew as npz, or name the format that it has, such as `format: csv()`");
}

/// An archive of arrays, each a header and what follows it.
fn npz(arrays: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, header, numbers) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        let length = (header.len() as u16).to_le_bytes();
        zip.write_all(&[b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), numbers].concat()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_header_is_believed_only_as_far_as_its_file_goes() {
    let labels = ("y", "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", &[0_u8, 1][..]);
    let said = |header: &str, numbers: &[u8]| {
        let files = folder(&[("a.npz", &npz(&[("x", header, numbers), labels]))]);
        said(&arrays("a.npz"), files.path()).split("; ").next().unwrap().to_owned()
    };
    let shaped = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    insta::assert_snapshot!(said(&shaped("(2, 1000000000000)"), &[0; 8]), @"`a.npz` can't be read as npz: the array `x`: its sizes are 2×1000000000000, more than the file can hold");
    insta::assert_snapshot!(said(&shaped("(2, 9223372036854775807, 4)"), &[0; 8]), @"`a.npz` can't be read as npz: the array `x`: its sizes are 2×9223372036854775807×4, more than the file can hold");
    insta::assert_snapshot!(said(&shaped("(2, 3)"), &[0; 8]), @"`a.npz` can't be read as npz: the array `x`: its sizes are 2×3, which does not fit the 8 bytes that follow");
    insta::assert_snapshot!(said(&shaped("(2, 1)"), &[0; 12]), @"`a.npz` can't be read as npz: the array `x`: more follows than its sizes, 2×1, can hold");
    insta::assert_snapshot!(said(&shaped("(2, -1)"), &[0; 8]), @"`a.npz` can't be read as npz: the array `x`: its header has the size `-1`");
    insta::assert_snapshot!(said(&shaped("(2, 0)"), &[]), @"the samples in `a.npz/x` hold no number");
    insta::assert_snapshot!(said(&shaped("(3,)"), &[0; 12]), @"`a.npz/x` holds 3 samples, but `a.npz/y` 2 labels");
    insta::assert_snapshot!(said(&shaped("(2,)"), &f32::NAN.to_le_bytes().repeat(2)), @"`a.npz/x`, sample 1: the value is missing");
    insta::assert_snapshot!(said(&shaped("(2,)"), &f32::INFINITY.to_le_bytes().repeat(2)), @"`a.npz/x`, sample 1: `inf` is not a number");
    insta::assert_snapshot!(said("{'descr': [('a', '<f4')], 'shape': (2,)}", &[0; 8]), @"`a.npz`: the array `x` holds records, which can't be read");
    insta::assert_snapshot!(said("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", &[0; 8]), @"`a.npz`: the array `x` holds Python objects, which can't be read");
    insta::assert_snapshot!(said("nothing", &[0; 8]), @"`a.npz` can't be read as npz: the array `x`: its header has no `descr`");

    let header = br#"{"x":{"dtype":"F32","shape":[2,1000000000000],"data_offsets":[0,8]}}"#;
    let tensors = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    let tensors = folder(&[("a.safetensors", &tensors), ("b.safetensors", &[0xff; 16])]);
    insta::assert_snapshot!(self::said(&arrays("a.safetensors"), tensors.path()), @"`a.safetensors` can't be read as safetensors: invalid shape, data type, or offset for tensor; write it anew as safetensors, or name the format that it has, such as `format: csv()`");
    insta::assert_snapshot!(self::said(&arrays("b.safetensors"), tensors.path()), @"`b.safetensors` can't be read as safetensors: header too large; write it anew as safetensors, or name the format that it has, such as `format: csv()`");
}

const MESSAGES: &str = "label,subject,text\nspam,You WON,\"a prize, a prize\"\nham,Lunch?,\n";

#[test]
fn texts_become_rows_of_word_numbers() {
    let files = folder(&[("a.csv", MESSAGES.as_bytes())]);
    let data = read(&words("a.csv", &[("length", Value::Int(7))]), files.path()).unwrap();
    assert_eq!((data.train.shape.as_slice(), data.lens.vocabulary), (&[7][..], Some(10_000)));
    assert_eq!(data.lens.classes, Some(vec!["ham".into(), "spam".into()]));
    let (spam, ham) = data.train.features.split_at(7);
    assert_eq!((spam[2], spam[3]), (spam[4], spam[5]), "`a prize` stands there twice");
    assert!(spam[..6].iter().all(|number| (1.0..10_000.0).contains(number)));
    assert_eq!(spam[6], 0.0);
    assert!(ham[0] > 0.0 && ham[1..].iter().all(|number| *number == 0.0));
    // The numbers of a model's words must be the same for ever.
    assert_eq!(spam[..4], [8509.0, 45.0, 1489.0, 8006.0]);

    let short = read(&words("a.csv", &[("length", Value::Int(2))]), files.path()).unwrap();
    assert_eq!(short.train.features, [&spam[..2], &[ham[0], 0.0]].concat());
    let subjects = Dataset { columns: vec!["subject".into()], ..words("a.csv", &[("length", Value::Int(3))]) };
    let subjects = read(&subjects, files.path()).unwrap();
    assert_eq!(subjects.train.features[..3], [spam[0], spam[1], 0.0]);
}

#[test]
fn a_model_sees_words_only_by_the_numbers_it_learned() {
    let files = folder(&[("a.csv", MESSAGES.as_bytes()), ("numbers.csv", b"label,x\nham,1\nspam,2\n")]);
    let data = |vocabulary| read(&words("a.csv", &[("vocabulary", Value::Int(vocabulary))]), files.path()).unwrap();
    let (small, large) = (data(100), data(200));
    let seen = |data: &Data, lens| data.part(Part::Train, Part::Train, lens).map(drop).map_err(|error| error.help());
    assert_eq!(seen(&small, &small.lens), Ok(()));
    assert_eq!(
        seen(&large, &small.lens),
        Err(Some("read it as the model's data was: `words(vocabulary: 100)`".into()))
    );
    let numbers = whole("numbers.csv", format("csv", &[]), Some("label"));
    let numbers = read(&numbers, files.path()).unwrap();
    assert!(seen(&numbers, &small.lens).is_err() && seen(&small, &numbers.lens).is_err());
}

#[test]
fn settings_of_texts_are_held_to_what_makes_sense() {
    let files = folder(&[("a.csv", MESSAGES.as_bytes()), ("blank.csv", b"label,text\nham,\n")]);
    let said = |file: &str, args: &[(&str, Value)]| said(&words(file, args), files.path());
    insta::assert_snapshot!(said("a.csv", &[("length", Value::Int(0))]), @"`length` of `words` must be a whole number from 1 to 65536, not 0");
    insta::assert_snapshot!(said("a.csv", &[("vocabulary", Value::Int(1))]), @"`vocabulary` of `words` must be a whole number from 2 to 16777216, not 1");
    insta::assert_snapshot!(said("a.csv", &[("delimiter", text("ab"))]), @r#"`delimiter` of `words` must be one sign of ASCII, not "ab""#);
    insta::assert_snapshot!(said("blank.csv", &[]), @"`blank.csv`, line 2, column `text`: the value is missing; fill or drop missing values in a task that runs before");
}

#[test]
fn signs_that_are_no_quotes_stand_for_themselves() {
    let files = folder(&[("a.tsv", b"label\ttext\nham\t\"he said\nspam\t\"win\" now\n")]);
    let dataset = words("a.tsv", &[("delimiter", text("\t")), ("quotes", Value::Bool(false))]);
    assert_eq!(read(&dataset, files.path()).unwrap().facts.rows, 2);
}

#[test]
fn test_files_must_be_like_the_others() {
    let files = folder(&[("a.csv", b"x,z,y\n1,2,a\n3,4,b\n"), ("b.csv", b"z,x,y\n2,1,a\n")]);
    let mut dataset = whole("a.csv", format("csv", &[]), Some("y"));
    dataset.test_files = vec![Location::Path("b.csv".into())];
    assert_eq!(said(&dataset, files.path()), "`b.csv` has other columns than the file before it");
    let array = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, SIZE), }";
    let labels = ("y", "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", &[0_u8, 1][..]);
    let sized = |size: usize| npz(&[("x", &array.replace("SIZE", &size.to_string()), &vec![0; 2 * size]), labels]);
    let files = folder(&[("a.npz", &sized(3)), ("b.npz", &sized(4))]);
    let dataset = Dataset { test_files: vec![Location::Path("b.npz".into())], ..arrays("a.npz") };
    assert_eq!(said(&dataset, files.path()), "the samples in `b.npz` are 4, but 3 in the files before");
}

/// A table of `rows` rows in groups of `group`, a float and a text in each.
fn written(rows: usize, group: usize) -> Vec<u8> {
    let schema = parse_message_type("message m { required float x; required binary y (UTF8); }").unwrap();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::default()).unwrap();
    for start in (0..rows).step_by(group) {
        let rows = start..(start + group).min(rows);
        let mut writer = file.next_row_group().unwrap();
        let mut column = writer.next_column().unwrap().unwrap();
        let numbers: Vec<f32> = rows.clone().map(|row| row as f32).collect();
        column.typed::<FloatType>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        let mut column = writer.next_column().unwrap().unwrap();
        let texts: Vec<_> = rows.map(|row| if row % 2 == 0 { "even" } else { "odd" }.into()).collect();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
        writer.close().unwrap();
    }
    file.into_inner().unwrap()
}

#[test]
fn groups_of_rows_and_files_stand_one_after_another() {
    let files = folder(&[("a.parquet", &written(100_000, 70_000)), ("b.parquet", &written(10, 3))]);
    let mut dataset = parquet("a.parquet", "y");
    dataset.files.push(Location::Path("b.parquet".into()));
    let data = read(&dataset, files.path()).unwrap();
    let wanted: Vec<f32> = (0..100_000).chain(0..10).map(|row| row as f32).collect();
    assert_eq!(data.train.features, wanted);
}

/// Every format with a file of it, which the tests below break.
fn every_format() -> Vec<(Vec<u8>, Dataset)> {
    let fixture = |file: &str| fs::read(fixtures().join(file)).unwrap();
    let columns = |file: &str| (fixture(file), parquet("a", "kind"));
    let array = |file: &str| (fixture(file), Dataset { files: dataset(&["a"]).files, ..arrays(file) });
    let idx_images = idx(&[4, 2, 2], &[7; 16]);
    vec![
        columns("snappy.parquet"),
        columns("gzip.parquet"),
        columns("zstd.parquet"),
        columns("plain.parquet"),
        array("arrays.npz"),
        array("packed.npz"),
        array("tensors.safetensors"),
        (idx_images, Dataset { label: None, ..whole("a", format("idx", &[("labels", text("labels"))]), None) }),
        (rows(0..20), whole("a", format("csv", &[]), Some("y"))),
        (packed(&rows(0..20)), whole("a", format("csv", &[]), Some("y"))),
        (MESSAGES.as_bytes().to_vec(), words("a", &[])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_broken_file_does_harm(
        which in 0_usize..11,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (mut bytes, dataset) = every_format().swap_remove(which);
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let files = folder(&[("a", &bytes), ("labels", &idx(&[4], &[0, 1, 0, 1]))]);
        // It may still be a file of its format, with other numbers.
        let _ = read(&dataset, files.path());
    }
}

#[test]
fn every_format_is_read_when_nothing_is_broken() {
    for (bytes, dataset) in every_format() {
        let files = folder(&[("a", &bytes), ("labels", &idx(&[4], &[0, 1, 0, 1]))]);
        assert!(read(&dataset, files.path()).is_ok(), "{}", dataset.format);
    }
}
