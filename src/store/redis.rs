//! A parameter store in Redis, Valkey, or several of them.
//!
//! Each blob is a stream with one entry. Streams are all that readers can wait for without taking it away, several keys at a
//! time, with nothing but the connection that they have. The entry holds a small blob itself. Of a large one it only says that
//! it is there: strings are copied once less by the server, which is worth a second round trip.

use super::{
    Key, ParameterError, ParameterStore, Terms, Traffic,
    parameters::Meter,
    patience::{Pool, STANDSTILL, TURN, Trouble, gather},
};
use ::redis::{Client, Connection, IntoConnectionInfo, RedisError, Value, cmd, io::tcp::TcpSettings, pipe};
use bytes::Bytes;
use std::{collections::HashMap, panic::resume_unwind, thread, time::Duration};

/// The largest blob, in bytes: what a server takes at most unless it is configured otherwise.
const BLOB: usize = 512 << 20;
/// From how many bytes on a blob lies beside its stream.
const LARGE: usize = 1 << 16;
/// Bytes of blobs that are put in one transaction: a server holds all of it before it does any of it.
const PORTION: usize = 32 << 20;
/// What a server says while it starts, has a long script, or is handed over to another.
const PASSING: [&str; 6] = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY"];

/// A parameter store of one or several Redis servers, over which the keys are spread.
pub struct Redis {
    nodes: Vec<Node>,
    terms: Terms,
    meter: Meter,
}

struct Node {
    client: Client,
    pool: Pool<Connection>,
    terms: Terms,
}

/// What is wrong with the address of a Redis server.
pub(super) type Fault = &'static str;

impl Redis {
    /// The servers of `redis://[user:password@]host[:port][,host[:port]…][/database]`, or `rediss://` for TLS.
    pub(super) fn parse(address: &str, terms: Terms) -> Result<Self, Fault> {
        let (scheme, rest) = address.split_once("://").ok_or("it has no `://`")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let node = |host: &str| {
            // What the library says may show the password.
            let url = format!("{scheme}://{login}{host}{path}");
            // Without delay, a request whose end is short need not wait until the server has confirmed the rest.
            let client = url
                .into_connection_info()
                .map(|about| about.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
                .and_then(Client::open)
                .map_err(|_| "a host is none")?;
            let pool = Pool::new(format!("{scheme}://{host}"), terms.retry);
            Ok(Node { client, pool, terms: terms.clone() })
        };
        let nodes = hosts.split(',').map(node).collect::<Result<_, Fault>>()?;
        Ok(Self { nodes, terms, meter: Meter::default() })
    }

    /// Asks each server whether it is there.
    pub(super) fn knock(&self) -> Result<(), ParameterError> {
        self.on_each(self.nodes.iter().map(|node| (node, ())), |node, ()| node.run(|redis| cmd("PING").exec(redis)))
            .map(drop)
    }

    /// The name of a key on the servers, and which of them has it.
    fn place(&self, key: &Key) -> (Key, usize) {
        let name = key.below(&self.terms.run);
        // Keys that differ in their numbers alone are dealt out in turn: each node gets equally many.
        let mut hasher = blake3::Hasher::new();
        let mut turn = 0_u64;
        for part in name.as_str().split('/') {
            match part.parse::<u64>() {
                Ok(number) => turn = turn.wrapping_add(number),
                Err(_) => _ = hasher.update(part.as_bytes()),
            }
        }
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        let node = (turn.wrapping_add(u64::from(u32::from_le_bytes([a, b, c, d]))) % self.nodes.len() as u64) as usize;
        (name, node)
    }

    /// Does `work` on several nodes at a time.
    fn on_each<'a, P: Send, T: Send>(
        &'a self,
        parts: impl IntoIterator<Item = (&'a Node, P)>,
        work: impl Fn(&Node, P) -> Result<T, ParameterError> + Sync,
    ) -> Result<Vec<T>, ParameterError> {
        let mut parts: Vec<_> = parts.into_iter().collect();
        let Some((own_node, own)) = parts.pop() else { return Ok(Vec::new()) };
        thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = parts.into_iter().map(|(node, part)| scope.spawn(move || work(node, part))).collect();
            let last = work(own_node, own);
            let others = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            others.collect::<Vec<_>>().into_iter().chain([last]).collect()
        })
    }

    /// Which of `keys` each node has. Nodes that have none are left out.
    fn spread<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<(&Node, Part)> {
        let mut parts: Vec<_> = self.nodes.iter().map(|node| (node, Part::default())).collect();
        for (place, key) in keys.enumerate() {
            let (name, node) = self.place(key);
            parts[node].1.places.push(place);
            parts[node].1.names.push(name);
        }
        parts.retain(|(_, part)| !part.places.is_empty());
        parts
    }
}

/// What a node has of the keys of a request.
#[derive(Debug, Default)]
struct Part {
    /// Their places in the request.
    places: Vec<usize>,
    /// Their names on the servers.
    names: Vec<Key>,
}

impl ParameterStore for Redis {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let parts = self.spread(blobs.iter().map(|(key, _)| key));
        self.on_each(parts, |node, part| {
            let (mut portion, mut size) = (Vec::new(), 0);
            for (place, name) in part.places.into_iter().zip(part.names) {
                let bytes = &blobs[place].1;
                if bytes.len() > BLOB {
                    let reason = format!("a blob has {} bytes, and Redis takes at most {BLOB}", bytes.len());
                    return Err(ParameterError::Refused { store: node.pool.store().to_owned(), reason });
                }
                if size + bytes.len() > PORTION && size > 0 {
                    node.commit(&portion)?;
                    (portion, size) = (Vec::new(), 0);
                }
                size += bytes.len();
                portion.push((name, bytes));
            }
            node.commit(&portion)
        })?;
        self.meter.put(blobs);
        Ok(())
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let mut found = vec![None; keys.len()];
        let parts = self.spread(keys.iter());
        let parts = self.on_each(parts, |node, part| {
            let blobs = gather(&part.names, patience, |names, turn| node.read(names, turn))?;
            Ok(part.places.into_iter().zip(blobs).collect::<Vec<_>>())
        })?;
        for (place, blob) in parts.into_iter().flatten() {
            found[place] = blob;
        }
        self.meter.got(&found);
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        self.on_each(self.spread(keys.iter()), |node, part| node.unlink(&part.names)).map(drop)
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let prefix = prefix.below(&self.terms.run);
        self.on_each(self.nodes.iter().map(|node| (node, ())), |node, ()| node.clear(&prefix)).map(drop)
    }

    fn traffic(&self) -> Traffic {
        self.meter.read()
    }
}

impl Node {
    fn run<T>(&self, mut work: impl FnMut(&mut Connection) -> Result<T, RedisError>) -> Result<T, ParameterError> {
        let open = || {
            let connection = self.client.get_connection_with_timeout(self.terms.retry.min(STANDSTILL))?;
            connection.set_read_timeout(Some(TURN + STANDSTILL))?;
            connection.set_write_timeout(Some(STANDSTILL))?;
            Ok(connection)
        };
        self.pool.run(
            || open().map_err(|error| self.trouble(error)),
            |redis| work(redis).map_err(|error| self.trouble(error)),
        )
    }

    fn trouble(&self, error: RedisError) -> Trouble {
        let store = self.pool.store().to_owned();
        let reason = error.to_string();
        let is_io = error.is_io_error();
        let errors = error.into_server_errors();
        let says = |code: &str| errors.iter().flat_map(|errors| errors.iter()).any(|(_, error)| error.code() == code);
        if says("OOM") {
            Trouble::Lasting(ParameterError::Full { store, reason })
        } else if is_io || PASSING.into_iter().any(says) || reason.contains("max number of clients") {
            Trouble::Passing(reason)
        } else {
            Trouble::Lasting(ParameterError::Refused { store, reason })
        }
    }

    /// Puts all of some blobs or nothing, so that none is left without an end to its time. Large ones are written as they
    /// lie in memory.
    fn commit(&self, blobs: &[(Key, &Bytes)]) -> Result<(), ParameterError> {
        let expiry = millis(self.terms.expiry);
        self.run(|redis| {
            let mut written = cmd("MULTI").get_packed_command();
            for (name, bytes) in blobs {
                let mut entry = cmd("XADD");
                entry.arg(name.as_str()).arg("MAXLEN").arg(1).arg("*");
                if bytes.len() < LARGE {
                    entry.arg(INSIDE).arg(&bytes[..]);
                } else {
                    let (name, size, expiry) = (beside(name), bytes.len(), expiry.to_string());
                    let head = format!("*5\r\n$3\r\nSET\r\n${}\r\n{name}\r\n${size}\r\n", name.len());
                    written.extend(head.as_bytes());
                    redis.send_packed_command(&written)?;
                    redis.send_packed_command(bytes)?;
                    written = format!("\r\n$2\r\nPX\r\n${}\r\n{expiry}\r\n", expiry.len()).into_bytes();
                    entry.arg(BESIDE).arg("");
                }
                written.extend(entry.get_packed_command());
                written.extend(cmd("PEXPIRE").arg(name.as_str()).arg(expiry).get_packed_command());
            }
            written.extend(cmd("EXEC").get_packed_command());
            redis.send_packed_command(&written)?;
            let commands = blobs.iter().map(|(_, bytes)| if bytes.len() < LARGE { 2 } else { 3 }).sum::<usize>();
            // What begins, what waits, and what it all comes to.
            for _ in 0..commands + 2 {
                redis.recv_response()?.extract_error()?;
            }
            Ok(())
        })
    }

    /// The blobs that are there, as soon as there is one; none when a turn has passed.
    fn read(&self, names: &[Key], turn: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let mut commands = pipe();
        for name in names {
            commands.cmd("PEXPIRE").arg(name.as_str()).arg(millis(self.terms.expiry)).ignore();
        }
        commands.cmd("XREAD").arg("COUNT").arg(1);
        // To Redis, no time is for ever.
        if millis(turn) > 0 {
            commands.arg("BLOCK").arg(millis(turn));
        }
        commands.arg("STREAMS");
        for name in names {
            commands.arg(name.as_str());
        }
        for _ in names {
            commands.arg("0");
        }
        let (reply,): (Value,) = self.run(|redis| commands.query(redis))?;
        let entries = entries(reply).ok_or_else(|| ParameterError::Refused {
            store: self.pool.store().to_owned(),
            reason: "a key of this run holds something else than a blob".to_owned(),
        })?;
        let mut found: Vec<Option<Entry>> = names.iter().map(|name| entries.get(name.as_str()).cloned()).collect();
        let places: Vec<usize> = (0..found.len()).filter(|place| found[*place] == Some(Entry::Beside)).collect();
        if !places.is_empty() {
            let mut commands = pipe();
            for place in &places {
                let name = beside(&names[*place]);
                commands.cmd("PEXPIRE").arg(&name).arg(millis(self.terms.expiry)).ignore();
                commands.cmd("GET").arg(&name);
            }
            let blobs: Vec<Value> = self.run(|redis| commands.query(redis))?;
            for (place, blob) in places.into_iter().zip(blobs) {
                found[place] = text(blob).map(|bytes| Entry::Inside(bytes.into()));
            }
        }
        let blob = |entry| if let Some(Entry::Inside(blob)) = entry { Some(blob) } else { None };
        Ok(found.into_iter().map(blob).collect())
    }

    fn unlink(&self, names: &[Key]) -> Result<(), ParameterError> {
        let names: Vec<String> = names.iter().flat_map(|name| [name.as_str().to_owned(), beside(name)]).collect();
        self.run(|redis| cmd("UNLINK").arg(&names).exec(redis))
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let escaped: String =
            prefix.as_str().chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{escaped}*")).arg("COUNT").arg(1000);
            let (next, names): (u64, Vec<String>) = self.run(|redis| scan.query(redis))?;
            let names: Vec<Key> =
                names.iter().map(|name| Key::new(&[name])).filter(|name| name.is_within(prefix)).collect();
            if !names.is_empty() {
                self.unlink(&names)?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

fn millis(time: Duration) -> i64 {
    // What Redis can add to its clock; a hundred years are for ever.
    time.min(Duration::from_hours(100 * 365 * 24)).as_millis() as i64
}

/// What a stream tells of its blob.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    /// It is here.
    Inside(Bytes),
    /// It lies beside the stream.
    Beside,
}

/// The fields of entries.
const INSIDE: &str = "b";
const BESIDE: &str = "s";

/// The name of what lies beside a stream; no part of a key is empty.
fn beside(name: &Key) -> String {
    format!("{}//", name.as_str())
}

fn text(value: Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}

/// The entries in the reply to `XREAD`: for each stream its name and its entries, and for each of these a number and fields.
fn entries(reply: Value) -> Option<HashMap<String, Entry>> {
    let streams = match reply {
        Value::Nil => return Some(HashMap::new()),
        Value::Array(streams) => streams,
        _ => return None,
    };
    let items = |value| if let Value::Array(items) = value { Some(items) } else { None };
    let entry = |stream| {
        let [name, entries] = <[Value; 2]>::try_from(items(stream)?).ok()?;
        let [entry] = <[Value; 1]>::try_from(items(entries)?).ok()?;
        let [_, fields] = <[Value; 2]>::try_from(items(entry)?).ok()?;
        let [field, bytes] = <[Value; 2]>::try_from(items(fields)?).ok()?;
        let entry = match text(field)?.as_slice() {
            field if field == INSIDE.as_bytes() => Entry::Inside(text(bytes)?.into()),
            _ => Entry::Beside,
        };
        Some((String::from_utf8(text(name)?).ok()?, entry))
    };
    streams.into_iter().map(entry).collect()
}
