use super::*;
use crate::{
    schedule::StepPath,
    store::Objects,
    types::Type,
    units::Size,
    value::{Fields, Value},
    wire::{Command, Op, Program, Word},
};
use std::{fs, sync::Arc};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A project with a file that takes a while to read, and what the driver hears of the cache there.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large.bin"), vec![7; 4 << 20]).unwrap();
        Self(folder)
    }

    fn session(&self, run: &str) -> Session {
        let (project, objects) = (self.0.path(), Objects::open(self.0.path().join("objects")));
        Session::open(&project.join("cache.db"), run, project, objects, true).unwrap()
    }
}

fn launch() -> Launch {
    let command = Command {
        program: Program::Args(["wc", "large.bin"].map(|word| Word::Text(word.into())).into()),
        inputs: Fields::new(),
        output: Type::Record(Arc::new([("n".into(), Type::Int)].into())),
        env: Vec::new(),
        secrets: [].into(),
    };
    Launch {
        attempt: Attempt { step: StepPath("main/a".into()), number: 1 },
        op: Op::Command(Box::new(command)),
        memory: Size::from_mib(1),
        memory_limit: None,
        cpu: 1.0,
        timeout: None,
        time_left: None,
        money_left: None,
        cache: None,
    }
}

fn done() -> Done {
    Done { output: Value::Record([("n".into(), Value::Int(1))].into()), trained: None, elapsed: Duration::ZERO }
}

/// What is to be done after the next answer.
fn next(cached: &mut Cached, answers: &mut UnboundedReceiver<(Attempt, Answer)>) -> Next {
    let (attempt, answer) = answers.blocking_recv().unwrap();
    cached.answer(attempt, answer)
}

#[test]
fn what_a_large_file_holds_is_found_out_before_anything_is_done() {
    let project = Project::new();
    for (run, serves) in [("one", false), ("two", true)] {
        let mut session = project.session(run);
        let (sender, mut answers) = unbounded_channel();
        let mut cached = Cached::new(Some(&mut session), sender);
        assert!(matches!(cached.begin(launch(), "run".into()), Next::Wait));
        match next(&mut cached, &mut answers) {
            Next::Work(launch) if !serves => cached.done(&launch.attempt, &done()),
            Next::Serve(Notice::StepServed { run, .. }) if serves => {
                assert_eq!(&*run, "one");
                assert!(matches!(next(&mut cached, &mut answers), Next::Hear(Event::Served(_, it)) if *it == done()));
            }
            _ => panic!("{run}"),
        }
        session.close().1.unwrap();
    }
}

#[test]
fn what_is_stopped_meanwhile_is_over_at_once_and_heard_of_once() {
    let project = Project::new();
    let mut session = project.session("one");
    let (sender, mut answers) = unbounded_channel();
    let mut cached = Cached::new(Some(&mut session), sender);
    cached.begin(launch(), "run".into());
    cached.drain();
    assert!(!cached.stop(&launch().attempt), "it was stopped already");
    // The one who reads the file does not know of it.
    let heard = [next(&mut cached, &mut answers), next(&mut cached, &mut answers)];
    let failed = heard.iter().filter(|next| matches!(next, Next::Hear(Event::Failed(..)))).count();
    let nothing = heard.iter().filter(|next| matches!(next, Next::Wait)).count();
    assert_eq!((failed, nothing), (1, 1));
}
