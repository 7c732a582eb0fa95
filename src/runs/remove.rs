//! Removing runs: their place in the list, their logs and their folders.

use super::{Home, RunState, Runs, RunsError, read};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior};
use std::{fs, io, path::Path};

/// What came of removing a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It is under way, and stays.
    Running,
    /// It was gone already.
    Gone,
}

impl Runs {
    /// Removes a run and its folder, unless it is under way. Stored files stay: another run may refer to them.
    ///
    /// # Errors
    /// When the list or the folder can't be written.
    pub fn remove(&self, home: &Home, id: &str) -> Result<Removal, RunsError> {
        // Nobody can take up the run again between the look at it and its end.
        let transaction = Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate)?;
        let run = transaction.query_row("select * from runs where id = ?", [id], |row| Ok(read(row))).optional()?;
        let removal = match run.transpose()?.map(|run| run.state) {
            None => Removal::Gone,
            Some(RunState::Running) => Removal::Running,
            Some(RunState::Interrupted | RunState::Over(_)) => {
                for table in ["events", "notices"] {
                    transaction.execute(&format!("delete from {table} where run = ?"), [id])?;
                }
                transaction.execute("delete from runs where id = ?", [id])?;
                Removal::Removed
            }
        };
        transaction.commit()?;
        if removal == Removal::Removed {
            let folder = home.run(id);
            remove_folder(&folder).map_err(|error| RunsError::Folder(folder, error))?;
        }
        Ok(removal)
    }
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
