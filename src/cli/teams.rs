//! Who trains, and why, in sentences.

use super::{
    foresee::{money, time},
    words,
};
use crate::{
    simulate::{Choice, Outlook, Row, SURE, Staffing, Team, Tried},
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

/// Why so much memory was chosen.
fn why(choice: &Choice) -> String {
    let Some(at) = choice.tried.iter().position(|tried| Some(tried.memory) == choice.memory) else {
        return ": no memory of its range serves".into();
    };
    let is_kept = |tried: &Tried| tried.kept >= SURE;
    let all_kept = choice.tried.iter().filter(|tried| tried.serves).all(is_kept);
    let best = match choice.goal {
        Goal::MinCost => "the cheapest run",
        Goal::MinTime => "the quickest run",
        Goal::Balanced => "the best run for time and money",
    };
    let best = match (is_kept(&choice.tried[at]), all_kept) {
        (true, true) => best.to_owned(),
        (true, false) => format!("{best} that keeps the limits"),
        (false, _) => "the run nearest to the limits".into(),
    };
    let beside = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten().filter_map(|at| choice.tried.get(at));
    let others: Vec<String> = beside.map(|tried| other(tried, all_kept)).collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let Tried { seconds, dollars, .. } = choice.tried[at];
    format!(": {best}, {} and {}{others}", time(seconds), money(dollars))
}

/// What another amount of memory would come to.
fn other(tried: &Tried, all_kept: bool) -> String {
    let Tried { memory, seconds, dollars, kept, serves } = *tried;
    if !serves {
        return format!("{memory} is too little");
    }
    let kept = match all_kept {
        true => String::new(),
        false => format!(", with all done in {:.0} of 100 runs", 100.0 * kept),
    };
    format!("{memory} would take {} and {}{kept}", time(seconds), money(dollars))
}
