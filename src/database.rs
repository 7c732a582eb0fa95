//! A database file of the program's own: how it is written, and the tables in it.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long to wait for another program that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(10);

/// Makes a database that was opened ready for use, with its tables if it is new. Says whether it is of the version
/// `format`, which is above 0: one of another is left as it is.
///
/// # Errors
/// When it can't be read or written.
pub fn ready(database: &Connection, format: i64, tables: &str) -> rusqlite::Result<bool> {
    database.busy_timeout(PATIENCE)?;
    let began = Instant::now();
    loop {
        match prepare(database, format, tables) {
            // Of two programs that open a new file at once, one is told so without a wait.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && began.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

fn prepare(database: &Connection, format: i64, tables: &str) -> rusqlite::Result<bool> {
    // Of a new file: so that it can give back the room of what was removed.
    database.pragma_update(None, "auto_vacuum", "incremental")?;
    database.pragma_update(None, "journal_mode", "wal")?;
    // What the last moments before a power failure brought may be lost, and is then done again.
    database.pragma_update(None, "synchronous", "normal")?;
    let version = |database: &Connection| database.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let mut found = version(database)?;
    if found == 0 {
        let making = Transaction::new_unchecked(database, TransactionBehavior::Immediate)?;
        found = version(&making)?;
        // Another program may have been quicker.
        if found == 0 {
            making.execute_batch(tables)?;
            making.pragma_update(None, "user_version", format)?;
            making.commit()?;
            found = format;
        }
    }
    Ok(found == format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_open_a_new_file_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let open = || ready(&Connection::open(folder.path().join("new.db")).unwrap(), 3, "create table t (x)");
            thread::scope(|scope| {
                let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                opening.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), Ok(true)));
            });
        }
    }
}
