//! What a search tries next, told by all that came of what it tried. The machine sees to the trials.

use super::{Deployed, Facts, Failed, facts::moment, ledger::millis, values};
use crate::{
    limits::OnMiss,
    search::{Ask, Task},
    step::{self, Searching, Tries, Usual},
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
    asked: Option<Asked>,
    usual: Usual,
    /// From so many decisions on no trial begins.
    narrow: Option<usize>,
}

/// When a search last asked for trials.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asked {
    /// In milliseconds.
    at: i64,
    /// What it had cost by then.
    spent: Money,
    /// The epochs of each of them.
    epochs: Vec<u64>,
    /// The decisions made with them, and the trials begun.
    decisions: usize,
    begun: u64,
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
        let began = invocation.began.as_deref().map(moment).transpose().map_err(of_search)?;
        let elapsed = began.and_then(|began| SystemTime::now().duration_since(began).ok()).unwrap_or_default();
        let whole = tries.search.epochs();
        if let Some(asked) = memory.asked.clone().filter(|asked| asked.begun < tries.search.total())
            && let Some(whole) = whole.and_then(|whole| memory.usual.of(whole))
            && is_late(whole, elapsed.into(), invocation, facts).map_err(of_search)?
        {
            memory.narrow.get_or_insert(asked.decisions);
        }
        memory.narrow.into_iter().for_each(|decisions| tries.search.narrow(decisions));
        let (mut first, mut cut) = (None, false);
        let mut errands = Vec::new();
        // It asks for the same again, told the same.
        while let Ask::Run(task) = tries.search.ask().map_err(|error| of_search(error.into()))? {
            if tries.passes_over(&task) {
                continue;
            }
            let Some(returned) = memory.known.get(&task.name()) else {
                let epochs = tries.search.epochs_of(task.trial, task.rung.unwrap_or(0));
                errands.push((epochs, tries.errand(&searching.search, &task)));
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
        let alone = whole.filter(|_| tries.search.is_narrow());
        let errands =
            if cut { Vec::new() } else { affordable(errands, alone, &memory.usual, facts).map_err(of_search)? };
        if !errands.is_empty() {
            let (epochs, errands) = errands.into_iter().unzip();
            memory.asked = Some(Asked {
                at: millis(SystemTime::now()),
                spent: facts.ledger.spent(&invocation.path).map_err(of_search)?.money,
                epochs,
                decisions: tries.search.decisions(),
                begun: tries.search.trials().len() as u64,
            });
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
        if let Some(asked) = &memory.asked {
            let took = Duration::from_millis(millis(SystemTime::now()) - asked.at);
            let spent = facts.ledger.spent(&invocation.path)?.money;
            // They ran side by side, and the longest of them took the time.
            let (longest, all) =
                (asked.epochs.iter().max().copied().unwrap_or(1), asked.epochs.iter().sum::<u64>().max(1));
            let price = spent.checked_sub(asked.spent).and_then(|spent| spent.checked_mul(Decimal::from(longest)));
            let price = price.and_then(|price| price.checked_div(Decimal::from(all)));
            memory.usual.see(longest, took, price.unwrap_or(Money::ZERO));
        }
        let named = |returned: &Returned| (returned.name.clone(), returned.clone());
        memory.known.extend(invocation.returned.iter().map(named));
        Ok(memory)
    }

    fn remember(&self, invocation: &Invocation, memory: &Memory) -> Result<(), Failure> {
        self.shared.put(&self.key(invocation, "searches"), serde_json::to_vec(memory).map_err(lost)?)
    }
}

/// Whether it is too late for new trials of a search that take and cost so much as a whole.
fn is_late(whole: (Duration, Money), gone: Duration, invocation: &Invocation, facts: &Facts) -> Result<bool, Failure> {
    let is_late = |left: f64, gone: f64, whole: f64| Usual::is_late(left, left + gone, whole);
    let (time, price) = whole;
    if let Some(left) = facts.limits.time_left()
        && is_late(left.as_secs_f64(), gone.secs_f64(), time.secs_f64())
    {
        return Ok(true);
    }
    let Some(left) = facts.limits.money_left(&facts.ledger)? else { return Ok(false) };
    Ok(is_late(left.to_f64(), facts.ledger.spent(&invocation.path)?.money.to_f64(), price.to_f64()))
}

/// Those errands for which there is time and money, as far as is known, each with its epochs; see [`Usual::needed`].
fn affordable(
    mut errands: Vec<(u64, Errand)>,
    alone: Option<u64>,
    usual: &Usual,
    facts: &Facts,
) -> Result<Vec<(u64, Errand)>, Failure> {
    let (left, money) = (facts.limits.time_left(), facts.limits.money_left(&facts.ledger)?);
    let (mut needed, mut others) = (Money::ZERO, 0);
    errands.retain(|(epochs, _)| {
        let (time, price) = usual.needed(*epochs, alone, others).unwrap_or_default();
        needed = needed.checked_add(price).unwrap_or(needed);
        others += 1;
        let in_time = left.is_none_or(|left| !left.is_zero() && Duration::from(left) >= time);
        in_time && money.is_none_or(|left| left > Money::ZERO && needed <= left)
    });
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
