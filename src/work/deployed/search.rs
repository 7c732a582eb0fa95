//! What a search tries next, told by all that came of what it tried. The machine sees to the trials.

use super::{Deployed, Facts, Failed, answer};
use crate::{
    search::{Ask, Task},
    step::{self, Searching, Tries},
    units::Duration,
    value::{Fields, Value},
    wire::{Answer, Done, Failure, Invocation, Kind, Returned, key},
};
use std::collections::BTreeMap;

/// What came of all trials so far, by the errands' names.
type Known = BTreeMap<String, Returned>;

impl Deployed {
    pub(super) fn search(
        &self,
        searching: &Searching,
        invocation: &Invocation,
        facts: &Facts,
    ) -> Result<Answer, Failed> {
        let of_search = |failure| Failed::new(invocation.path.clone(), failure);
        let seed = self.seed(searching.seed, invocation, facts);
        let mut tries = Tries::begin(&searching.search, facts, seed).map_err(of_search)?;
        let file = self.key(invocation, "searches") + ".json";
        let is_first = invocation.returned.is_empty();
        let mut known = if is_first { Known::new() } else { self.recall(&file).map_err(of_search)? };
        known.extend(invocation.returned.iter().map(|returned| (returned.name.clone(), returned.clone())));
        self.remember(&file, &known).map_err(of_search)?;
        let mut failed = None;
        let mut errands = Vec::new();
        // It asks for the same again, told the same.
        while let Ask::Run(task) = tries.search.ask().map_err(|error| of_search(error.into()))? {
            if tries.passes_over(&task) {
                continue;
            }
            let Some(returned) = known.get(&task.name()) else {
                errands.push(tries.errand(&searching.search, &task));
                continue;
            };
            let came = self.came(searching, &mut tries, &task, returned, &invocation.path)?;
            if let Err(failure) = &came {
                failed.get_or_insert_with(|| failure.clone());
            }
            tries.search.tell(&task, came.unwrap_or_default());
        }
        if !errands.is_empty() {
            return Ok(Answer { more: true, vars: [(key(searching.var), None)].into(), errands, ..Answer::default() });
        }
        let outcome = tries.outcome().ok_or_else(|| of_search(Tries::fruitless(failed.as_ref())))?;
        Ok(answer([(searching.var, Value::Record(self.with_costs(outcome, facts)))].into()))
    }

    fn with_costs(&self, mut outcome: Fields, facts: &Facts) -> Fields {
        outcome.insert("elapsed".into(), Value::Duration(facts.elapsed()));
        outcome
    }

    /// What came of a task: its number if it has come to one, or the failure that its choice is to blame for.
    fn came(
        &self,
        searching: &Searching,
        tries: &mut Tries,
        task: &Task,
        returned: &Returned,
        path: &str,
    ) -> Result<Result<Option<f64>, Failure>, Failed> {
        let trains = matches!(searching.search.trial, step::Trial::Train(_));
        if let Some(caught) = &returned.failed {
            let own = format!("{path}/{}", returned.name);
            let (step, failure) = caught.read(&own);
            return match step::blames_the_choice(&failure) {
                true => Ok(Err(failure)),
                false if trains => {
                    let message = format!("{own}: {}", failure.message);
                    Err(Failed::new(path.to_owned(), Failure { message, ..failure }))
                }
                false => Err(Failed::new(step, failure)),
            };
        }
        let answer = returned.answer.clone();
        let output = match (&answer, &returned.value) {
            (Some(answer), _) => answer.vars.values().flatten().next().map(|carried| carried.0.clone()),
            (None, value) => value.as_ref().map(|carried| carried.0.clone()),
        };
        let output = output.ok_or_else(|| {
            let nothing = Failure::new(Kind::TaskFailed, format!("the trial `{}` has come to nothing", returned.name));
            Failed::new(path.to_owned(), nothing.help("this is a fault of smltc; please report it"))
        })?;
        let trained = answer.and_then(|answer| answer.trained);
        Ok(Ok(tries.note(task, Done { output, trained, elapsed: Duration::ZERO })))
    }

    /// What was tried before.
    fn recall(&self, key: &str) -> Result<Known, Failure> {
        let known = self.shared.get(key)?.map(|text| serde_json::from_slice(&text));
        known.transpose().map(Option::unwrap_or_default).map_err(lost)
    }

    fn remember(&self, key: &str, known: &Known) -> Result<(), Failure> {
        self.shared.put(key, serde_json::to_vec(known).map_err(lost)?)
    }
}

fn lost(error: serde_json::Error) -> Failure {
    Failure::new(Kind::TaskFailed, format!("what the search has tried can't be kept: {error}"))
        .help("start the run again")
}
