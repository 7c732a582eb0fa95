//! A database file of the program's own: how it is written, and the tables in it.

use rusqlite::Connection;
use std::time::Duration;

/// Makes a database that was opened ready for use, with its tables if it is new. Says whether it is of the version
/// `format`, which is above 0: one of another is left as it is.
///
/// # Errors
/// When it can't be read or written.
pub fn ready(database: &Connection, format: i64, tables: &str) -> rusqlite::Result<bool> {
    database.busy_timeout(Duration::from_secs(10))?;
    // Of a new file: so that it can give back the room of what was removed.
    database.pragma_update(None, "auto_vacuum", "incremental")?;
    database.pragma_update(None, "journal_mode", "wal")?;
    // What the last moments before a power failure brought may be lost, and is then done again.
    database.pragma_update(None, "synchronous", "normal")?;
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        database.execute_batch(tables)?;
        database.pragma_update(None, "user_version", format)?;
    }
    Ok(found == 0 || found == format)
}
