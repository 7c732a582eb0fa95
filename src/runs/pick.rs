//! Which step of a run is meant by a word.

use crate::{diagnostic::similar, schedule::StepPath};

/// Why no step is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpicked {
    /// No name is like it; perhaps this one was meant.
    Unknown(Option<StepPath>),
    /// All these names are.
    Several(Vec<StepPath>),
}

/// The one of `steps` that is called by `word`: its path, with or without the workflow; else how its path ends, at a
/// slash; else how its path starts.
///
/// # Errors
/// When none is, or several are.
pub fn pick<'s>(word: &str, steps: impl IntoIterator<Item = &'s StepPath>) -> Result<&'s StepPath, Unpicked> {
    let steps: Vec<&StepPath> = steps.into_iter().collect();
    let ways: [fn(&str, &str) -> bool; 3] = [
        |path, word| path == word || inside(path) == word,
        |path, word| path.strip_suffix(word).is_some_and(|before| before.ends_with('/')),
        |path, word| path.starts_with(word) || inside(path).starts_with(word),
    ];
    for fits in ways {
        let mut fitting = steps.iter().copied().filter(|step| fits(&step.0, word));
        match (fitting.next(), fitting.next()) {
            (None, _) => {}
            (Some(step), None) => return Ok(step),
            (Some(first), Some(second)) => {
                return Err(Unpicked::Several([first, second].into_iter().chain(fitting).cloned().collect()));
            }
        }
    }
    let names = steps.iter().flat_map(|step| [inside(&step.0), last(&step.0)]);
    let near = similar(word, names);
    let near = near.and_then(|near| steps.iter().find(|step| inside(&step.0) == near || last(&step.0) == near));
    Err(Unpicked::Unknown(near.copied().cloned()))
}

/// A path without the workflow.
fn inside(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, inside)| inside)
}

/// The last name in a path.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_called_by_either_end_of_its_path() {
        let steps =
            ["main/fetch", "main/fetch_all", "main/each[0]/count", "main/each[1]/count", "main/best/trial[0]/fit"]
                .map(|step| StepPath(step.into()));
        let pick = |word| super::pick(word, &steps).map(|step| step.to_string());
        assert_eq!(pick("main/fetch"), Ok("main/fetch".into()));
        assert_eq!(pick("fetch"), Ok("main/fetch".into()), "a whole name goes before a part of one");
        assert_eq!(pick("fetch_"), Ok("main/fetch_all".into()));
        assert_eq!(pick("fit"), Ok("main/best/trial[0]/fit".into()));
        assert_eq!(pick("each[1]"), Ok("main/each[1]/count".into()));
        assert_eq!(pick("count"), Err(Unpicked::Several(steps[2..4].to_vec())));
        assert_eq!(pick("fetsh"), Err(Unpicked::Unknown(Some(steps[0].clone()))));
        assert_eq!(pick("nothing"), Err(Unpicked::Unknown(None)));
    }
}
