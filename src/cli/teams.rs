//! Who trains, and why, in sentences.

use super::{
    foresee::{money, time},
    words,
};
use crate::{
    simulate::{Choice, Chosen, Outlook, Row, SURE, Staffing, Team, Tried},
    units::Size,
    wire::Goal,
};

/// What is told of the trainings of a workflow about which something was to be chosen.
pub fn told(outlook: &Outlook) -> Vec<String> {
    outlook.rows.iter().filter_map(of_row).collect()
}

fn of_row(row: &Row) -> Option<String> {
    let Team { workers, staffing, memory, exchange } = row.team?;
    let name = words::inside(&row.path);
    if workers == 1 && staffing != Staffing::Chosen && row.choice.is_none() {
        return None;
    }
    let begins = match staffing {
        Staffing::Fixed => "trains with",
        Staffing::Staged => "trains with up to",
        Staffing::Chosen => "begins with",
    };
    let of = words::count(workers as usize, "worker");
    let way = match workers {
        1 => String::new(),
        _ => format!(", whose gradients go by `{}`", exchange.name()),
    };
    let why = row.choice.as_ref().map_or_else(String::new, why);
    Some(format!("`{name}` {begins} {of} of {memory}{way}{why}"))
}

/// Why so many workers were chosen, or so much memory, and what others would come to.
fn why(choice: &Choice) -> String {
    let memory = choice.memory.as_ref().map(|memory| Compared::of(memory, Size::to_string));
    if let Some(None) = memory {
        return ": no memory of its range serves".into();
    }
    let workers = choice
        .workers
        .as_ref()
        .and_then(|workers| Compared::of(workers, |workers| words::count(*workers as usize, "worker")));
    // Workers were tried with the memory that was chosen.
    let memory = memory.flatten();
    let Some(best) = workers.as_ref().or(memory.as_ref()) else { return String::new() };
    let others: Vec<&str> = workers.iter().chain(&memory).flat_map(|of| &of.others).map(String::as_str).collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    format!(": {}, {}{others}", best.name(choice.goal), best.figures)
}

/// What was chosen beside what was not.
struct Compared {
    /// Whether the limits are kept with it, and with all else that serves.
    kept: bool,
    all_kept: bool,
    figures: String,
    /// What comes next below and above.
    others: Vec<String>,
}

impl Compared {
    /// None where nothing serves.
    fn of<T: PartialEq>(chosen: &Chosen<T>, name: impl Fn(&T) -> String) -> Option<Self> {
        let best = chosen.best.as_ref()?;
        let at = chosen.tried.iter().position(|tried| tried.with == *best)?;
        let is_kept = |tried: &Tried<T>| tried.kept >= SURE;
        let all_kept = chosen.tried.iter().filter(|tried| tried.serves).all(is_kept);
        let beside = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
        let beside = beside.filter_map(|at| chosen.tried.get(at));
        let tried = &chosen.tried[at];
        Some(Self {
            kept: is_kept(tried),
            all_kept,
            figures: format!("{} and {}", time(tried.seconds), money(tried.dollars)),
            others: beside.map(|tried| other(&name(&tried.with), tried, all_kept)).collect(),
        })
    }

    fn name(&self, goal: Goal) -> String {
        let best = match goal {
            Goal::MinCost => "the cheapest run",
            Goal::MinTime => "the quickest run",
            Goal::Balanced => "the best run for time and money",
        };
        match (self.kept, self.all_kept) {
            (true, true) => best.to_owned(),
            (true, false) => format!("{best} that keeps the limits"),
            (false, _) => "the run nearest to the limits".into(),
        }
    }
}

/// What something else would come to.
fn other<T>(name: &str, tried: &Tried<T>, all_kept: bool) -> String {
    if !tried.serves {
        return format!("{name} is too little");
    }
    let kept = match all_kept {
        true => String::new(),
        false => format!(", with all done in {:.0} of 100 runs", 100.0 * tried.kept),
    };
    format!("{name} would take {} and {}{kept}", time(tried.seconds), money(tried.dollars))
}
