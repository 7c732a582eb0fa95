//! The folder of a step that survives its retries.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

/// An empty folder that no step has at this moment. A folder that is renamed costs much less than one that is made.
#[derive(Debug)]
pub(super) struct Spare(PathBuf);

/// Lets a step have its folder, which holds what an attempt before has left.
///
/// # Errors
/// When it can't be made.
pub(super) fn take(kept: &mut Option<Spare>, step: &Path) -> io::Result<()> {
    if let Some(Spare(spare)) = kept.take() {
        match fs::rename(&spare, step) {
            Ok(()) => return Ok(()),
            // There is one already, and it is not empty.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => *kept = Some(Spare(spare)),
            Err(_) => {}
        }
    }
    fs::create_dir_all(step)
}

/// Takes a folder in which nothing was left back into `place`, for the next step.
pub(super) fn put_back(kept: &mut Option<Spare>, step: &Path, place: &Path) {
    let is_empty = fs::read_dir(step).is_ok_and(|mut entries| entries.next().is_none());
    let spare = place.join(format!("spare-{}", process::id()));
    if kept.is_none() && is_empty && fs::rename(step, &spare).is_ok() {
        *kept = Some(Spare(spare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_serves_the_next_step_and_one_that_is_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let step = |name: &str| folder.path().join("steps").join(name);
        let place = folder.path().join("work");
        fs::create_dir(&place).unwrap();
        let mut kept = None;
        take(&mut kept, &step("a")).unwrap();
        put_back(&mut kept, &step("a"), &place);
        assert!(!step("a").exists() && kept.is_some());

        take(&mut kept, &step("b")).unwrap();
        fs::write(step("b").join("state"), "3").unwrap();
        put_back(&mut kept, &step("b"), &place);
        assert!(step("b").join("state").exists() && kept.is_none());

        // The next attempt finds what the one before has left, whatever is kept.
        take(&mut kept, &step("c")).unwrap();
        put_back(&mut kept, &step("c"), &place);
        take(&mut kept, &step("b")).unwrap();
        assert!(step("b").join("state").exists() && kept.is_some());
        put_back(&mut kept, &step("b"), &place);
        assert!(step("b").join("state").exists());
    }
}
