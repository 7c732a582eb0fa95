//! What a worker must have at hand to do something.

use super::{Op, Outcome, Program, Word};
use crate::value::{Artifact, Dataset};

impl Op {
    /// Shows `visit` every stored file that is read.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        self.datasets().for_each(|dataset| dataset.stored_files(visit));
        match self {
            Self::Inspect(_) => {}
            Self::Train(train) => {
                train.model.stored_files(visit);
                train.init.iter().for_each(&mut *visit);
                train.rung.iter().filter_map(|rung| rung.resume.as_ref()).for_each(visit);
            }
            Self::Evaluate(evaluate) => evaluate.model.stored_files(visit),
            Self::Command(command) => {
                command.inputs.values().for_each(|input| input.stored_files(visit));
                if let Program::Args(words) = &command.program {
                    let files = words.iter().filter_map(|word| match word {
                        Word::File(artifact) => Some(artifact),
                        Word::Text(_) => None,
                    });
                    files.for_each(visit);
                }
            }
        }
    }

    /// The datasets that are read.
    pub fn datasets(&self) -> impl Iterator<Item = &Dataset> {
        let (data, other) = match self {
            Self::Inspect(inspect) => (Some(&inspect.data), None),
            Self::Train(train) => (Some(&train.data), train.valid.as_ref()),
            Self::Evaluate(evaluate) => (Some(&evaluate.data), None),
            Self::Command(_) => (None, None),
        };
        data.into_iter().chain(other)
    }
}

impl Outcome {
    /// Shows `visit` every stored file that was made, or is handed on.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        if let Self::Done(done) = self {
            done.output.stored_files(visit);
            done.trained.iter().filter_map(|trained| trained.checkpoint.as_ref()).for_each(visit);
        }
    }
}
