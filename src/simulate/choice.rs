//! What trainings are given where the workflow leaves a choice: the memory of their workers, and how many begin. Each is tried in
//! simulated runs of the whole workflow, so that what else there is counts, the time to spare above all. One is chosen after
//! the other, for one training after the other: the memory first, with as many workers as the formulas find best with it.

use super::{Outlook, Question, Row, SURE, Staffing, Tally};
use crate::{
    expr::Expr,
    graph::{Graph, Training},
    limits::{Amount, Limits, Memory},
    plan::{Plan, Planned},
    schedule::Options,
    seed::Seed,
    units::Size,
    value::Value,
    wire::Goal,
};
use std::{cmp::Ordering, collections::BTreeMap};

/// What one amount of memory, or one number of workers, comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried<T> {
    /// The memory of each worker, or how many there are from beginning to end.
    pub with: T,
    /// Seconds of a run, in the middle; where the limits are not kept, of one without them.
    pub seconds: f64,
    /// Dollars of such a run, in the middle.
    pub dollars: f64,
    /// How many times the limits that is; 0 where they are kept.
    pub overrun: f64,
    /// The share of runs in which the limits held.
    pub kept: f64,
    /// Whether the training could be done with it.
    pub serves: bool,
}

/// What was chosen, and out of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen<T> {
    /// None where nothing serves.
    pub best: Option<T>,
    /// All that was tried, the least first.
    pub tried: Vec<Tried<T>>,
}

/// What was chosen for a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What it makes least of within the limits.
    pub goal: Goal,
    /// The memory of each worker, where it is a range.
    pub memory: Option<Chosen<Size>>,
    /// How many workers begin, where they are a range.
    pub workers: Option<Chosen<u32>>,
}

impl Choice {
    /// Nothing so far.
    const fn open(goal: Goal) -> Self {
        Self { goal, memory: None, workers: None }
    }
}

/// The choices for the trainings of a workflow, by their paths.
pub(super) type Choices = BTreeMap<String, Choice>;

/// How many amounts of memory are tried, and of workers at most.
const AMOUNTS: usize = 8;
/// The runs with each, at most.
const RUNS: usize = 20;
/// Amounts of memory are whole multiples of this.
const GRAIN: u64 = 64;

impl Question<'_> {
    /// What is to be expected of it by so many runs, once what it leaves open is chosen.
    pub(super) fn chosen(&self, runs: usize, seed: Seed) -> Outlook {
        let mut choices = self.memories(runs, seed);
        let mut outlook = self.settled(&choices, |settled| settled.of_settled(runs, seed, &choices));
        let ranges = self.foresight.ranges();
        let each = tries(runs, ranges.values().map(|(_, numbers)| few(numbers).len()).sum());
        if each == 0 {
            return outlook;
        }
        for (path, (goal, numbers)) in ranges {
            let with = |workers| self.settled(&choices, |settled| settled.with_workers(&path, workers, each, seed));
            let chosen = best(few(&numbers).into_iter().map(with).collect(), goal);
            choices.entry(path).or_insert_with(|| Choice::open(goal)).workers = Some(chosen);
        }
        let is_as_chosen = |row: &Row| {
            let best = choices.get(&row.path).and_then(|choice| choice.workers.as_ref()?.best);
            best.is_none() || row.team.map(|team| team.workers) == best
        };
        if !outlook.rows.iter().all(is_as_chosen) {
            return self.settled(&choices, |settled| settled.of_settled(runs, seed, &choices));
        }
        outlook.rows.iter_mut().for_each(|row| row.choice = choices.get(&row.path).cloned());
        outlook
    }

    /// What memory trainings are given.
    fn memories(&self, runs: usize, seed: Seed) -> Choices {
        let mut choices = Choices::new();
        let largest = self.foresight.largest_memory().unwrap_or(self.options.capacity.memory);
        let ranges = memories(self.graph);
        // Something must be chosen.
        let each = tries(runs, AMOUNTS * ranges.len()).max(1);
        for (path, goal, least, most) in ranges {
            let mut with = |memory: Size| {
                let best = Some(Chosen { best: Some(memory), tried: Vec::new() });
                choices.insert(path.clone(), Choice { memory: best, ..Choice::open(goal) });
                self.settled(&choices, |settled| settled.tried(&path, memory, each, seed))
            };
            let tried = amounts(least, most.min(largest).max(least)).into_iter().map(&mut with).collect();
            let memory = Some(best(tried, goal));
            choices.insert(path, Choice { memory, ..Choice::open(goal) });
        }
        choices
    }

    /// Asks about the same workflow with what was chosen.
    fn settled<T>(&self, choices: &Choices, ask: impl FnOnce(&Question) -> T) -> T {
        if choices.is_empty() {
            return ask(self);
        }
        let mut graph = self.graph.clone();
        let planned = |choice: &Choice| Planned {
            memory: choice.memory.as_ref().and_then(|memory| memory.best),
            workers: choice.workers.as_ref().and_then(|workers| workers.best),
            ..Planned::default()
        };
        let plan = choices.iter().map(|(path, choice)| (path.clone(), planned(choice)));
        Plan(plan.collect()).settle(&mut graph);
        ask(&Question { graph: &graph, ..*self })
    }

    /// Tries so many workers for a training, from its beginning to its end.
    fn with_workers(&self, path: &str, workers: u32, runs: usize, seed: Seed) -> Tried<u32> {
        let graph = fixed(self.graph, path, workers);
        Question { graph: &graph, ..*self }.tried(path, workers, runs, seed)
    }

    fn tried<T>(&self, path: &str, with: T, runs: usize, seed: Seed) -> Tried<T> {
        let limited = self.tally(runs, seed);
        let (kept, serves) = (limited.ends().kept(), limited.ends().failed == 0);
        let tried = |tally: &Tally| (tally.seconds().median(), tally.dollars().median());
        if kept >= SURE {
            let (seconds, dollars) = tried(&limited);
            return Tried { with, seconds, dollars, overrun: 0.0, kept, serves };
        }
        // What limits cut short tells nothing of what it would take. Without limits no workers would be chosen.
        let options = Options { enforce: false, ..self.options.clone() };
        let chosen = self.foresight.team(path).filter(|team| team.staffing == Staffing::Chosen);
        let fixed = chosen.map(|team| fixed(self.graph, path, team.workers));
        let free = Question { graph: fixed.as_ref().unwrap_or(self.graph), options: &options, ..*self };
        let (seconds, dollars) = tried(&free.tally(runs, seed));
        let Limits { deadline, budget, .. } = &self.graph.limits;
        let late = deadline.as_ref().map_or(0.0, |deadline| seconds / deadline.after.secs_f64());
        let dear = budget.as_ref().map_or(0.0, |budget| match budget.amount {
            Amount::Money(money) => dollars / money.to_f64(),
            Amount::Share(_) => 0.0,
        });
        Tried { with, seconds, dollars, overrun: late.max(dear), kept, serves }
    }
}

/// A workflow in which a training has so many workers from its beginning to its end.
fn fixed(graph: &Graph, path: &str, workers: u32) -> Graph {
    let mut graph = graph.clone();
    graph.each_training(&mut |training| {
        if training.path == path {
            training.train.team.workers = Some(Expr::Const(Value::Int(workers.into())));
        }
    });
    graph
}

/// The best of what was tried.
fn best<T: Copy + Ord>(tried: Vec<Tried<T>>, goal: Goal) -> Chosen<T> {
    let best = tried.iter().filter(|tried| tried.serves).min_by(|a, b| better(a, b, goal));
    Chosen { best: best.map(|best| best.with), tried }
}

/// The runs with each of so many things that are tried: together no more than twice those of the outlook itself.
fn tries(runs: usize, count: usize) -> usize {
    (2 * runs).checked_div(count).unwrap_or(0).min(RUNS)
}

/// The trainings that leave their memory open, with what they make least of and the ends of the ranges.
fn memories(graph: &Graph) -> Vec<(String, Goal, Size, Size)> {
    let mut ranges = Vec::new();
    graph.clone().each_training(&mut |Training { path, goal, memory, .. }| {
        if let Some(Memory::Within(least, most)) = *memory {
            ranges.push((path, goal, least, most));
        }
    });
    ranges
}

/// Some of many numbers, the first and the last among them.
fn few(numbers: &[u32]) -> Vec<u32> {
    let most = numbers.len().min(AMOUNTS);
    (0..most).map(|place| numbers[place * (numbers.len() - 1) / (most - 1).max(1)]).collect()
}

/// Amounts between two, each by the same factor above the one before.
fn amounts(least: Size, most: Size) -> Vec<Size> {
    let (low, high) = (least.mib().max(1) as f64, most.mib().max(1) as f64);
    let between = (1..AMOUNTS - 1).map(|step| {
        let mib = low * (high / low).powf(step as f64 / (AMOUNTS - 1) as f64);
        Size::from_mib((mib as u64).next_multiple_of(GRAIN))
    });
    let mut amounts: Vec<Size> = between.filter(|amount| *amount > least && *amount < most).collect();
    amounts.extend([least, most]);
    amounts.sort();
    amounts.dedup();
    amounts
}

/// What keeps the limits comes first, and of that what serves the goal; where nothing does, what comes nearest to them. Of equals
/// it is the smaller.
fn better<T: Ord>(a: &Tried<T>, b: &Tried<T>, goal: Goal) -> Ordering {
    let value = |tried: &Tried<T>| match goal {
        Goal::MinCost => tried.dollars,
        Goal::MinTime => tried.seconds,
        Goal::Balanced => tried.seconds * tried.dollars,
    };
    a.overrun.total_cmp(&b.overrun).then(value(a).total_cmp(&value(b))).then(a.with.cmp(&b.with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_numbers_are_tried_from_the_first_to_the_last() {
        assert_eq!(few(&[1, 2, 4]), [1, 2, 4]);
        assert_eq!(few(&(1..=64).collect::<Vec<_>>()), [1, 10, 19, 28, 37, 46, 55, 64]);
        assert_eq!(few(&[3]), [3]);
        assert!(few(&[]).is_empty());
    }

    #[test]
    fn amounts_grow_by_the_same_factor() {
        let mib = |amounts: Vec<Size>| amounts.into_iter().map(Size::mib).collect::<Vec<_>>();
        let range = |least, most| mib(amounts(Size::from_mib(least), Size::from_mib(most)));
        assert_eq!(range(128, 10_240), [128, 256, 448, 896, 1600, 2944, 5504, 10_240]);
        assert_eq!(range(1000, 1000), [1000]);
        assert_eq!(range(1000, 1030), [1000, 1024, 1030]);
    }
}
