//! A parameter store in the memory of one process, served to the others of the machine over a Unix socket.

use super::{
    Key, Memory, ParameterError, ParameterStore, Terms, Traffic,
    frames::{Answer, Request},
    parameters::Meter,
    patience::{Pool, STANDSTILL, TURN, Trouble, gather},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fs::{self, Permissions},
    io::{self, BufReader, BufWriter},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// Serves a store on a socket, to this user alone, until it is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    house: Arc<House>,
}

#[derive(Debug, Default)]
struct House {
    store: Arc<Memory>,
    closed: AtomicBool,
    /// The connections that are open, each under its number.
    guests: Mutex<HashMap<u64, UnixStream>>,
}

/// Serves `store` on a socket at `path`. A socket that nobody listens on any more is taken over.
///
/// # Errors
/// When there can be no socket at `path`.
pub fn serve(path: impl Into<PathBuf>, store: Arc<Memory>) -> io::Result<Server> {
    let path = path.into();
    let listener = match UnixListener::bind(&path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(&path) => {
            fs::remove_file(&path)?;
            UnixListener::bind(&path)?
        }
        bound => bound?,
    };
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let house = Arc::new(House { store, ..House::default() });
    thread::spawn({
        let house = house.clone();
        move || house.receive(&listener)
    });
    Ok(Server { path, house })
}

fn is_left_over(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Server {
    /// The address that [`open`](super::open) takes.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.house.closed.store(true, SeqCst);
        // The thread that listens wakes up, sees that the house is closed, and ends.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
        for guest in self.house.guests().values() {
            let _ = guest.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl House {
    fn guests(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(self: &Arc<Self>, listener: &UnixListener) {
        for number in 0.. {
            let Ok((guest, _)) = listener.accept() else {
                // There are too many files open: some may close.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let Ok(known) = guest.try_clone() else { continue };
            self.guests().insert(number, known);
            // Asked after the guest is on the list, so that whoever closes the house sees the one or the other.
            if self.closed.load(SeqCst) {
                self.guests().remove(&number);
                return;
            }
            let house = self.clone();
            thread::spawn(move || {
                // One that breaks off, or talks nonsense, has its connection closed, which tells it all that can be told.
                let _ = house.attend(&guest);
                house.guests().remove(&number);
                let _ = guest.shutdown(std::net::Shutdown::Both);
            });
        }
    }

    fn attend(&self, guest: &UnixStream) -> io::Result<()> {
        guest.set_write_timeout(Some(STANDSTILL))?;
        let (mut from, mut to) = (BufReader::new(guest), BufWriter::new(guest));
        while let Some(request) = Request::read(&mut from)? {
            let answer = match request {
                Request::Put(blobs) => self.store.put(&blobs).map(|()| Answer::Done),
                Request::Get(keys, patience) => self.store.get(&keys, patience.min(TURN)).map(Answer::Found),
                Request::Remove(keys) => self.store.remove(&keys).map(|()| Answer::Done),
                Request::Clear(prefix) => self.store.clear(&prefix).map(|()| Answer::Done),
            };
            answer.map_err(io::Error::other)?.write(&mut to)?;
        }
        Ok(())
    }
}

/// A parameter store that another process of the machine serves.
#[derive(Debug)]
pub struct Served {
    path: PathBuf,
    terms: Terms,
    pool: Pool<UnixStream>,
    meter: Meter,
}

impl Served {
    /// The store that is served on the socket at `path`. How long it keeps blobs, the server decides.
    ///
    /// # Errors
    /// When nobody serves it.
    pub fn connect(path: impl Into<PathBuf>, terms: Terms) -> Result<Self, ParameterError> {
        let path = path.into();
        let pool = Pool::new(format!("unix://{}", path.display()), terms.retry);
        let store = Self { path, terms, pool, meter: Meter::default() };
        store.remove(&[])?;
        Ok(store)
    }

    fn open(&self) -> Result<UnixStream, Trouble> {
        let open = || {
            let stream = UnixStream::connect(&self.path)?;
            stream.set_read_timeout(Some(TURN + STANDSTILL))?;
            stream.set_write_timeout(Some(STANDSTILL))?;
            Ok(stream)
        };
        open().map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &io::Error) -> Trouble {
        let (store, reason) = (self.pool.store().to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied => {
                Trouble::Lasting(ParameterError::Refused { store, reason })
            }
            _ => Trouble::Passing(reason),
        }
    }

    fn ask(&self, request: &Request) -> Result<Answer, ParameterError> {
        self.pool.run(
            || self.open(),
            |stream| {
                let ask = |stream: &UnixStream| {
                    request.write(&mut BufWriter::new(stream))?;
                    Answer::read(&mut BufReader::new(stream))
                };
                ask(stream).map_err(|error| self.trouble(&error))
            },
        )
    }

    fn below(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter().map(|key| key.below(&self.terms.run)).collect()
    }
}

impl ParameterStore for Served {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let below = blobs.iter().map(|(key, bytes)| (key.below(&self.terms.run), bytes.clone())).collect();
        self.ask(&Request::Put(below))?;
        self.meter.put(blobs);
        Ok(())
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let found =
            gather(&self.below(keys), patience, |keys, turn| match self.ask(&Request::Get(keys.to_vec(), turn))? {
                Answer::Found(found) if found.len() == keys.len() => Ok(found),
                Answer::Found(_) | Answer::Done => Err(ParameterError::Refused {
                    store: self.pool.store().to_owned(),
                    reason: "it answered something else than it was asked".to_owned(),
                }),
            })?;
        self.meter.got(&found);
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        self.ask(&Request::Remove(self.below(keys))).map(drop)
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        self.ask(&Request::Clear(prefix.below(&self.terms.run))).map(drop)
    }

    fn traffic(&self) -> Traffic {
        self.meter.read()
    }
}
