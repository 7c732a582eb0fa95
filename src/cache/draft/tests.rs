use super::*;
use crate::{
    expr::Expr,
    seed::Seed,
    types::Type,
    units::Percent,
    value::{Fields, Location, Part, Split, Value},
    wire::{Averaging, Codec, Command, Program, Rung, Staged, Team, Word, Workers},
};
use std::fs;
use tempfile::TempDir;

fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("scripts/clean.py", "import common"),
        ("scripts/common.py", "x = 1"),
        ("notes.txt", ""),
        ("data/a.csv", "x,y\n1,2\n"),
        ("data/b.csv", "x,y\n3,4\n"),
        ("t-images-idx3", "pixels"),
        ("t-labels-idx1", "labels"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn parts(op: &Op, project: &TempDir) -> Parts {
    let words = Words::new(project.path().to_owned(), Arc::default());
    let objects = Objects::open(project.path().join(".smlt/objects"));
    Draft::new(op, project.path(), &objects, &words).and_then(Draft::finish).unwrap().parts
}

/// The parts that differ between two steps, or one step before and after a change of a file.
fn differ(before: &Parts, now: &Parts) -> Vec<Subject> {
    let changes = now.changes(before).into_iter().map(|change| change.subject).collect::<Vec<_>>();
    assert_eq!(changes.is_empty(), before.key() == now.key());
    changes
}

fn setting(name: &str) -> Subject {
    Subject::Setting(name.into())
}

fn file(name: &str) -> Subject {
    Subject::File(name.into())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn command() -> Command {
    let words = ["python3", "scripts/clean.py", "data/a.csv", "7"];
    Command {
        program: Program::Args(words.map(|word| Word::Text(word.into())).into()),
        inputs: Fields::from([("shard".into(), text("data/a.csv")), ("keep".into(), Value::Int(7))]),
        output: Type::Record(Arc::new([("rows".into(), Type::Int)].into())),
        env: vec![("LANG".into(), "C".into())],
        secrets: [("KEY".into(), "HUB_KEY".into())].into(),
    }
}

fn op(command: Command) -> Op {
    Op::Command(Box::new(command))
}

#[test]
fn a_command_depends_on_all_that_it_is_given_and_on_its_scripts() {
    let project = project();
    let before = parts(&op(command()), &project);
    let after = |command: Command| differ(&before, &parts(&op(command), &project));
    assert_eq!(after(command()), []);
    assert_eq!(after(Command { output: Type::Int, ..command() }), [Subject::Output]);
    assert_eq!(after(Command { env: vec![("LANG".into(), "D".into())], ..command() }), [Subject::Env("LANG".into())]);
    let secrets = [("KEY".into(), "OTHER_KEY".into())].into();
    assert_eq!(after(Command { secrets, ..command() }), [Subject::Secret("KEY".into())]);
    let script = Command { program: Program::Shell("true".into()), ..command() };
    assert!(after(script).contains(&Subject::Command));

    // The word of a parameter is no change of the command itself.
    let mut other = command();
    other.inputs.insert("keep".into(), Value::Int(8));
    other.program =
        Program::Args(["python3", "scripts/clean.py", "data/a.csv", "8"].map(|word| Word::Text(word.into())).into());
    assert_eq!(after(other.clone()), [setting("keep")]);
    other.inputs.insert("keep".into(), Value::Int(7));
    assert_eq!(after(other), [Subject::Command]);

    for name in ["scripts/clean.py", "scripts/common.py", "data/a.csv"] {
        let path = project.path().join(name);
        let old = fs::read(&path).unwrap();
        fs::write(&path, "other").unwrap();
        assert_eq!(after(command()), [file(name)]);
        fs::write(&path, old).unwrap();
    }
    fs::write(project.path().join("data/b.csv"), "other").unwrap();
    fs::write(project.path().join("notes.txt"), "other").unwrap();
    assert_eq!(after(command()), [], "what stands beside data, or is not named, does not count");
    fs::write(project.path().join("scripts/new.py"), "").unwrap();
    assert_eq!(after(command()), [file("scripts/new.py")]);
}

#[test]
fn a_value_of_another_type_is_another_value() {
    let project = project();
    let of = |value: Value| {
        let mut command = command();
        command.inputs.insert("keep".into(), value);
        parts(&op(command), &project).key()
    };
    let values =
        [Value::Int(1), Value::Float(1.0), text("1"), Value::Bool(true), Value::Member("1".into()), Value::None];
    let keys: std::collections::BTreeSet<_> = values.map(of).into();
    assert_eq!(keys.len(), 6);
}

#[test]
fn a_command_depends_on_what_is_in_a_folder_that_it_is_given() {
    let project = project();
    let mut command = command();
    command.inputs.insert("shard".into(), Value::List(vec![text("data")]));
    command.program = Program::Args(vec![Word::Text("scripts/clean.py".into())]);
    let before = parts(&op(command.clone()), &project);
    fs::write(project.path().join("data/c.csv"), "").unwrap();
    assert_eq!(differ(&before, &parts(&op(command), &project)), [file("data")]);
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

fn inspect(data: Dataset) -> Op {
    Op::Inspect(Box::new(Inspect { data }))
}

#[test]
fn data_depends_on_its_files_and_on_how_they_are_read() {
    let project = project();
    let csv = inspect(dataset(&["data/*.csv"]));
    let before = parts(&csv, &project);
    assert_eq!(
        differ(&before, &parts(&inspect(Dataset { scale: 2.0, ..dataset(&["data/*.csv"]) }), &project)),
        [setting("data")]
    );
    fs::write(project.path().join("data/b.csv"), "x,y\n").unwrap();
    assert_eq!(differ(&before, &parts(&csv, &project)), [file("data/b.csv")]);
    fs::write(project.path().join("data/c.csv"), "x,y\n").unwrap();
    assert_eq!(differ(&before, &parts(&csv, &project)), [file("data/b.csv"), file("data/c.csv")]);

    // Test files count as well, in every format.
    for format in ["csv", "words", "parquet", "npz", "safetensors"] {
        let files = Dataset { format: Call::new(format, Fields::new()), ..dataset(&["data/a.csv"]) };
        let both = inspect(Dataset { test_files: vec![Location::Path("data/b.csv".into())], ..files });
        let before = parts(&both, &project);
        fs::write(project.path().join("data/b.csv"), format).unwrap();
        assert_eq!(differ(&before, &parts(&both, &project)), [file("data/b.csv")]);
    }

    let images = inspect(Dataset { format: Call::new("idx", Fields::new()), ..dataset(&["t-images-idx3"]) });
    let before = parts(&images, &project);
    fs::write(project.path().join("t-labels-idx1"), "others").unwrap();
    assert_eq!(differ(&before, &parts(&images, &project)), [file("t-labels-idx1")]);

    // Labels of another name; those of test files are found by theirs.
    let labels = Call::new("idx", Fields::from([("labels".into(), text("notes.txt"))]));
    let images = Dataset { format: labels, ..dataset(&["t-images-idx3"]) };
    let images = inspect(Dataset { test_files: images.files.clone(), ..images });
    let before = parts(&images, &project);
    for name in ["notes.txt", "t-labels-idx1"] {
        fs::write(project.path().join(name), format!("new {name}")).unwrap();
    }
    assert_eq!(differ(&before, &parts(&images, &project)), [file("notes.txt"), file("t-labels-idx1")]);
}

#[test]
fn data_that_is_not_there_has_no_key() {
    let project = project();
    let words = Words::new(project.path().to_owned(), Arc::default());
    let objects = Objects::open(project.path().join("objects"));
    let reason = Draft::new(&inspect(dataset(&["none.csv"])), project.path(), &objects, &words).err().unwrap();
    assert!(reason.contains("none.csv"), "{reason}");
}

fn adam(lr: f64) -> Call {
    Call::new("adam", Fields::from([("lr".into(), Value::Float(lr))]))
}

fn train() -> Train {
    Train {
        model: Model { name: "net".into(), args: Fields::new(), layers: Vec::new(), weights: None },
        data: dataset(&["data/a.csv"]),
        valid: None,
        optimizer: adam(0.1),
        loss: None,
        schedule: None,
        batch: Staged::fixed(64),
        shards: None,
        averaging: Averaging::EXACT,
        horizon: Horizon::Epochs(10),
        until: None,
        metrics: Vec::new(),
        objective: None,
        init: None,
        seed: Seed::new(1),
        rung: None,
        team: Team::default(),
    }
}

/// Two steps apart, and then together.
fn local() -> Averaging {
    Averaging { codec: Codec::F32, every: 2 }
}

#[test]
fn only_where_ways_are_averaged_does_it_matter_who_trains() {
    let project = project();
    let with = |averaging, workers| {
        let team = Team { workers: Workers::Staged(Staged::fixed(workers)), ..Team::default() };
        parts(&Op::Train(Box::new(Train { averaging, team, ..train() })), &project)
    };
    assert_eq!(differ(&with(Averaging::EXACT, 1), &with(Averaging::EXACT, 4)), []);
    assert_eq!(differ(&with(local(), 1), &with(local(), 4)), [setting("workers")]);
}

#[test]
fn a_training_depends_on_each_of_its_settings() {
    let project = project();
    let of = |train: Train| parts(&Op::Train(Box::new(train)), &project);
    let before = of(train());
    let stored = crate::value::Artifact { name: "w".into(), hash: Hash::of(b"w"), bytes: 1 };
    let mut wide = train();
    wide.model.args.insert("hidden".into(), Value::Int(2));
    let mut grown = train();
    grown.model.layers.push(Call::new("relu", Fields::new()));
    let changed: [(&str, Train); 17] = [
        ("model.hidden", wide),
        ("model", grown),
        ("data", Train { data: dataset(&["data/*.csv"]), ..train() }),
        ("valid", Train { valid: Some(dataset(&["data/a.csv"])), ..train() }),
        ("optimizer.lr", Train { optimizer: adam(0.2), ..train() }),
        ("loss", Train { loss: Some(Call::new("mse", Fields::new())), ..train() }),
        ("schedule", Train { schedule: Some(Call::new("cosine", Fields::new())), ..train() }),
        ("batch", Train { batch: Staged::fixed(32), ..train() }),
        ("shards", Train { shards: Some(4), ..train() }),
        ("sync", Train { averaging: local(), ..train() }),
        ("epochs", Train { horizon: Horizon::Epochs(11), ..train() }),
        ("steps", Train { horizon: Horizon::Steps(10), ..train() }),
        ("until", Train { until: Some(Expr::Const(Value::Bool(true))), ..train() }),
        ("metrics", Train { metrics: vec![Call::new("auc", Fields::new())], ..train() }),
        ("objective", Train { objective: Some((Expr::Const(Value::Int(1)), true)), ..train() }),
        ("init", Train { init: Some(stored.clone()), ..train() }),
        ("seed", Train { seed: Seed::new(2), ..train() }),
    ];
    for (name, train) in changed {
        let found = differ(&before, &of(train));
        assert!(found.contains(&setting(name)), "{name}: {found:?}");
    }
    let rung = |pause_at, resume| of(Train { rung: Some(Rung { pause_at, resume }), ..train() });
    assert_eq!(differ(&before, &rung(1, None)), [setting("rung")]);
    assert_eq!(differ(&rung(1, None), &rung(1, Some(stored))), [setting("rung")]);
    assert_eq!(differ(&rung(1, None), &rung(3, None)), [setting("rung")]);
}

#[test]
fn little_is_read_at_once() {
    let project = project();
    fs::write(project.path().join("data/large.csv"), vec![b'x'; QUICK as usize + 1]).unwrap();
    let words = Words::new(project.path().to_owned(), Arc::default());
    let objects = Objects::open(project.path().join("objects"));
    let draft = |name: &str| Draft::new(&inspect(dataset(&[name])), project.path(), &objects, &words).unwrap();
    assert!(draft("data/a.csv").is_quick());
    assert!(!draft("data/large.csv").is_quick());
    draft("data/large.csv").finish().unwrap();
    assert!(draft("data/large.csv").is_quick(), "what was read is known");
}
