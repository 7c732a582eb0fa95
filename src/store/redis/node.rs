//! One Redis server.
//!
//! A blob is a string. Beside it lies its bell, a stream with one entry: a stream is all that readers can wait for without
//! taking it away, with nothing but the connection that they have. Whoever wants several blobs asks for them together, and the
//! server waits at each bell in turn, so that one request gets all of them.

use super::{
    address::Access,
    connection::{Connection, Fault, Request, Times},
    reply::{BLOB, Reply},
    tls,
};
use crate::store::{
    Key, ParameterError, Terms,
    patience::{Pool, STANDSTILL, TURN, Trouble},
};
use bytes::Bytes;
use std::{io, sync::Arc, time::Duration};

/// Bytes of blobs that are put in one transaction: a server holds all of it before it does any of it.
const PORTION: usize = 32 << 20;
/// What a server says while it starts, has a long script, or is handed over to another.
const PASSING: [&str; 6] = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY"];

/// A server.
pub(super) struct Node {
    host: String,
    port: u16,
    access: Arc<Access>,
    terms: Terms,
    pool: Pool<Connection>,
}

impl Node {
    pub fn new(host: String, port: u16, access: Arc<Access>, terms: Terms) -> Self {
        let scheme = if access.tls.is_some() { "rediss" } else { "redis" };
        // A colon in it is one of IPv6.
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let pool = Pool::new(format!("{scheme}://{shown}:{port}"), terms.retry);
        Self { host, port, access, terms, pool }
    }

    /// Asks whether it is there.
    pub fn knock(&self) -> Result<(), ParameterError> {
        let mut ping = Request::default();
        ping.command(&["PING"]);
        self.ask(&ping).map(drop)
    }

    /// Puts blobs under names.
    pub fn put(&self, blobs: &[(Key, &Bytes)]) -> Result<(), ParameterError> {
        let (mut begin, mut size) = (0, 0);
        for (end, (_, bytes)) in blobs.iter().enumerate() {
            if bytes.len() > BLOB {
                let reason = format!("a blob has {} bytes, and Redis takes at most {BLOB}", bytes.len());
                return Err(self.refused(reason));
            }
            if size + bytes.len() > PORTION && end > begin {
                self.commit(&blobs[begin..end])?;
                (begin, size) = (end, 0);
            }
            size += bytes.len();
        }
        self.commit(&blobs[begin..])
    }

    /// Puts all of some blobs or nothing, so that none is left without an end to its time.
    fn commit(&self, blobs: &[(Key, &Bytes)]) -> Result<(), ParameterError> {
        let expiry = millis(self.terms.expiry);
        let mut request = Request::default();
        request.command(&["MULTI"]);
        for (name, bytes) in blobs {
            let bell = bell(name);
            request.set(name.as_str(), bytes, &expiry);
            request.command(&["XADD", &bell, "MAXLEN", "1", "*", "", ""]);
            request.command(&["PEXPIRE", &bell, &expiry]);
        }
        request.command(&["EXEC"]);
        self.ask(&request).map(drop)
    }

    /// The blobs that are there, as soon as all are, or those that are once a turn has passed.
    pub fn get(&self, names: &[Key], turn: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let expiry = millis(self.terms.expiry);
        // Each is waited for in its share of the turn. To Redis, no time is for ever.
        let share = millis((turn / names.len().clamp(1, 1 << 20) as u32).max(Duration::from_millis(1)));
        let mut request = Request::default();
        for name in names {
            if !turn.is_zero() {
                // Whose bell went before it was used again is waited for in vain, and then found.
                request.command(&["XREAD", "COUNT", "1", "BLOCK", &share, "STREAMS", &bell(name), "0"]);
            }
            request.command(&["PEXPIRE", name.as_str(), &expiry]);
            request.command(&["GET", name.as_str()]);
        }
        let (replies, each) = (self.ask(&request)?, if turn.is_zero() { 2 } else { 3 });
        let blob = |reply| if let Reply::Bytes(bytes) = reply { Some(Bytes::from(bytes)) } else { None };
        Ok(replies.into_iter().skip(each - 1).step_by(each).map(blob).collect())
    }

    /// Removes what is under some names.
    pub fn unlink(&self, names: &[Key]) -> Result<(), ParameterError> {
        let bells: Vec<String> = names.iter().map(bell).collect();
        let mut words = vec!["UNLINK"];
        words.extend(names.iter().map(Key::as_str).chain(bells.iter().map(String::as_str)));
        let mut request = Request::default();
        request.command(&words);
        self.ask(&request).map(drop)
    }

    /// Removes all whose names begin with the parts of `prefix`.
    pub fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let escaped: String =
            prefix.as_str().chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = Request::default();
            scan.command(&["SCAN", &cursor, "MATCH", &format!("{escaped}*"), "COUNT", "1000"]);
            let (next, names) = self
                .ask(&scan)?
                .pop()
                .and_then(page)
                .ok_or_else(|| self.refused("it answered something else than it was asked".to_owned()))?;
            let names: Vec<Key> =
                names.iter().map(|name| Key::new(&[name])).filter(|name| name.is_within(prefix)).collect();
            if !names.is_empty() {
                self.unlink(&names)?;
            }
            cursor = next;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// The replies to some commands.
    fn ask(&self, request: &Request) -> Result<Vec<Reply>, ParameterError> {
        let patience = self.terms.retry.min(STANDSTILL);
        let times = Times { open: patience, write: STANDSTILL, read: TURN + STANDSTILL };
        self.pool.run(
            || Connection::open(&self.host, self.port, &self.access, times).map_err(|fault| self.trouble(fault)),
            |connection| connection.ask(request).map_err(|fault| self.trouble(fault)),
        )
    }

    fn trouble(&self, fault: Fault) -> Trouble {
        let reason = match fault {
            Fault::Said(reason) => reason,
            Fault::Io(error) => {
                return match (tls::explain(&error), error.kind()) {
                    (Some(reason), _) => Trouble::Lasting(self.refused(reason)),
                    (None, io::ErrorKind::InvalidData) => Trouble::Lasting(self.refused(error.to_string())),
                    (None, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                        let tls =
                            if self.access.tls.is_some() { ", as one that speaks no TLS on this port" } else { "" };
                        Trouble::Passing(format!("it does not answer{tls}"))
                    }
                    (None, _) => Trouble::Passing(error.to_string()),
                };
            }
        };
        let code = reason.split(' ').next().unwrap_or_default();
        if code == "OOM" {
            Trouble::Lasting(ParameterError::Full { store: self.pool.store().to_owned(), reason })
        } else if PASSING.contains(&code) || reason.contains("max number of clients") {
            Trouble::Passing(reason)
        } else {
            Trouble::Lasting(self.refused(reason))
        }
    }

    fn refused(&self, reason: String) -> ParameterError {
        ParameterError::Refused { store: self.pool.store().to_owned(), reason }
    }
}

/// The name of the bell beside a blob; no part of a key is empty.
fn bell(name: &Key) -> String {
    format!("{}//", name.as_str())
}

fn millis(time: Duration) -> String {
    // What Redis can add to its clock; a hundred years are for ever.
    time.min(Duration::from_hours(100 * 365 * 24)).as_millis().to_string()
}

/// The reply to `SCAN`: where to go on, and names.
fn page(reply: Reply) -> Option<(String, Vec<String>)> {
    let text = |reply| if let Reply::Bytes(bytes) = reply { String::from_utf8(bytes).ok() } else { None };
    let Reply::List(page) = reply else { return None };
    let [cursor, Reply::List(names)] = <[Reply; 2]>::try_from(page).ok()? else { return None };
    // What is no text is no key of ours.
    Some((text(cursor)?, names.into_iter().filter_map(text).collect()))
}
