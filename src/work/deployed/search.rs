//! What a search tries next, told by all that came of what it tried. The machine sees to the trials.

use super::{Deployed, Facts, Failed, facts::moment, ledger::millis, values};
use crate::{
    limits::OnMiss,
    search::{Ask, Task},
    step::{self, Searching, Tries},
    units::{Duration, Money},
    value::Value,
    wire::{Answer, Caught, Done, Errand, Failure, Invocation, Kind, Returned, key},
    work::Shared,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::SystemTime};

/// What a search remembers between two calls.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// What came of all trials so far, by the errands' names.
    known: BTreeMap<String, Returned>,
    /// When it last asked for trials, in milliseconds, and what it had cost by then.
    asked: Option<(i64, Money)>,
    /// The most that a first rung, or a whole trial, took.
    usual: Option<(Duration, Money)>,
}

/// What came of a task.
enum Came {
    /// Its number, if it has one.
    Number(Option<f64>),
    /// Nothing, for which its choice is to blame.
    Blamed(Failure),
    /// It was cut short to keep a limit, after which nothing more is begun.
    Cut(Option<f64>),
}

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
        let mut memory = self.recall(invocation, facts).map_err(of_search)?;
        let (mut first, mut cut) = (None, false);
        let mut errands = Vec::new();
        // It asks for the same again, told the same.
        while let Ask::Run(task) = tries.search.ask().map_err(|error| of_search(error.into()))? {
            if tries.passes_over(&task) {
                continue;
            }
            let Some(returned) = memory.known.get(&task.name()) else {
                errands.push(tries.errand(&searching.search, &task));
                continue;
            };
            let number = match came(searching, &mut tries, &task, returned, invocation, facts, &self.shared)? {
                Came::Number(number) => number,
                Came::Blamed(failure) => {
                    first.get_or_insert(failure);
                    None
                }
                Came::Cut(number) => {
                    cut = true;
                    number
                }
            };
            tries.search.tell(&task, number);
        }
        let errands = if cut { Vec::new() } else { affordable(errands, &memory, facts).map_err(of_search)? };
        if !errands.is_empty() {
            let spent = facts.ledger.spent(&invocation.path).map_err(of_search)?.money;
            memory.asked = Some((millis(SystemTime::now()), spent));
            self.remember(invocation, &memory).map_err(of_search)?;
            return Ok(Answer { more: true, vars: [(key(searching.var), None)].into(), errands, ..Answer::default() });
        }
        let Some(mut outcome) = tries.outcome() else {
            let nearest = facts.nearest(None).map_err(of_search)?.filter(|_| first.is_none());
            return Err(of_search(match nearest {
                Some((_, reached)) => facts.miss(&reached, "a first trial was over"),
                None => Tries::fruitless(first.as_ref()),
            }));
        };
        let began = invocation.began.as_deref().map(moment).transpose().map_err(of_search)?;
        let elapsed = began.and_then(|began| SystemTime::now().duration_since(began).ok()).unwrap_or_default();
        let spent = facts.ledger.spent(&invocation.path).map_err(of_search)?.money;
        outcome.insert("cost".into(), Value::Money(spent));
        outcome.insert("elapsed".into(), Value::Duration(elapsed.into()));
        let value = Value::Record(outcome);
        values::answer([(searching.var, value)].into(), facts.run.inline, &self.shared).map_err(of_search)
    }

    /// What was tried before, with what has come of it since.
    fn recall(&self, invocation: &Invocation, facts: &Facts) -> Result<Memory, Failure> {
        if invocation.returned.is_empty() {
            return Ok(Memory::default());
        }
        let remembered = self.shared.get(&self.key(invocation, "searches"))?;
        let remembered = remembered.map(|text| serde_json::from_slice(&text)).transpose().map_err(lost)?;
        let mut memory: Memory = remembered.unwrap_or_default();
        if let Some((at, before)) = memory.asked {
            let took = Duration::from_millis(millis(SystemTime::now()) - at);
            let spent = facts.ledger.spent(&invocation.path)?.money;
            let of = Decimal::from(invocation.returned.len());
            let price = spent.checked_sub(before).and_then(|spent| spent.checked_div(of));
            memory.usual = memory.usual.max(Some((took, price.unwrap_or(Money::ZERO))));
        }
        let named = |returned: &Returned| (returned.name.clone(), returned.clone());
        memory.known.extend(invocation.returned.iter().map(named));
        Ok(memory)
    }

    fn remember(&self, invocation: &Invocation, memory: &Memory) -> Result<(), Failure> {
        self.shared.put(&self.key(invocation, "searches"), serde_json::to_vec(memory).map_err(lost)?)
    }
}

/// Those errands for which there is time and money, as far as is known.
fn affordable(mut errands: Vec<Errand>, memory: &Memory, facts: &Facts) -> Result<Vec<Errand>, Failure> {
    let (usual, price) = memory.usual.unwrap_or_default();
    if facts.limits.time_left().is_some_and(|left| left.is_zero() || Duration::from(left) < usual) {
        errands.clear();
    }
    if let Some(left) = facts.limits.money_left(&facts.ledger)? {
        let mut needed = Money::ZERO;
        errands.retain(|_| {
            needed = needed.checked_add(price).unwrap_or(needed);
            left > Money::ZERO && needed <= left
        });
    }
    Ok(errands)
}

/// What came of a task. A failure that no choice is to blame for is the search's own.
fn came(
    searching: &Searching,
    tries: &mut Tries,
    task: &Task,
    returned: &Returned,
    invocation: &Invocation,
    facts: &Facts,
    shared: &Shared,
) -> Result<Came, Failed> {
    if let Some(caught) = &returned.failed {
        return failed(searching, caught, returned, invocation, facts);
    }
    let answer = returned.answer.clone();
    let output = match (&answer, &returned.value) {
        (Some(answer), _) => answer.vars.values().flatten().next(),
        (None, value) => value.as_ref(),
    };
    let output = output.map(|carried| values::Recalled::default().value(carried, shared)).transpose();
    let output = output.map_err(|failure| Failed::new(invocation.path.clone(), failure))?;
    let output = output.ok_or_else(|| {
        let nothing = Failure::new(Kind::TaskFailed, format!("the trial `{}` has come to nothing", returned.name));
        Failed::new(invocation.path.clone(), nothing.help("this is a fault of smltc; please report it"))
    })?;
    let trained = answer.and_then(|answer| answer.trained);
    let cut = trained.as_ref().is_some_and(|trained| trained.cut);
    let number = tries.note(task, Done { output, trained, elapsed: Duration::ZERO });
    Ok(if cut { Came::Cut(number) } else { Came::Number(number) })
}

fn failed(
    searching: &Searching,
    caught: &Caught,
    returned: &Returned,
    invocation: &Invocation,
    facts: &Facts,
) -> Result<Came, Failed> {
    let trains = matches!(searching.search.trial, step::Trial::Train(_));
    let own = format!("{}/{}", invocation.path, returned.name);
    let (step, failure) = caught.read(&own);
    if failure.kind.is_limit() {
        let mark = caught.limit();
        // A limit within the trial is a limit of its choice.
        return match mark.as_deref().and_then(|mark| facts.limits.on_miss(mark, failure.kind)) {
            None => Ok(Came::Blamed(failure)),
            Some(OnMiss::KeepBest) => Ok(Came::Cut(None)),
            Some(_) => {
                let mut failed = Failed::new(step, failure);
                failed.cause.limit = mark;
                Err(failed)
            }
        };
    }
    match step::blames_the_choice(&failure) {
        true => Ok(Came::Blamed(failure)),
        false if trains => {
            let message = format!("{own}: {}", failure.message);
            Err(Failed::new(invocation.path.clone(), Failure { message, ..failure }))
        }
        false => Err(Failed::new(step, failure)),
    }
}

fn lost(error: serde_json::Error) -> Failure {
    Failure::new(Kind::TaskFailed, format!("what the search has tried can't be kept: {error}"))
        .help("start the run again")
}
