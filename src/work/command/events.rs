//! The socket on which a command may tell of its progress, for programs whose output is taken by other things.

use super::{lines::Lines, log::Log};
use rustix::fd::{AsFd, BorrowedFd};
use std::{
    fs::File,
    io::{self, Read},
    iter,
    net::Shutdown,
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{self, Path, PathBuf},
    process,
};
use tempfile::{Builder, TempPath};

/// The bytes of a socket's path, of which unix(7) allows 108 with the zero at its end, without its name.
const MAX_FOLDER: usize = 107 - 1 - NAME;

/// The bytes of a socket's name.
const NAME: usize = 8;

/// So many connections are heard at the same time; others wait until one of them is closed.
const MAX_CONNECTIONS: usize = 128;

/// A socket of one attempt: what is written there can be nobody else's. One to which nobody has connected serves the next.
pub(super) struct Events {
    listener: UnixListener,
    connections: Vec<Connection>,
    /// Whether anyone has connected.
    is_used: bool,
    path: TempPath,
    /// The folder in which it was asked for.
    place: PathBuf,
    /// What a path leads through that would be too long otherwise.
    _folder: Option<File>,
}

impl Events {
    /// The socket that was kept, if it lies in `place`, or one at a new path there.
    ///
    /// # Errors
    /// When the folder can't be written, or its file system has no sockets.
    pub fn take(kept: &mut Option<Self>, place: &Path) -> io::Result<Self> {
        match kept.take().filter(|events| events.place == place && events.path.exists()) {
            Some(events) => Ok(events),
            None => Self::listen(place),
        }
    }

    fn listen(place: &Path) -> io::Result<Self> {
        let folder = path::absolute(place)?;
        let is_long = folder.as_os_str().len() > MAX_FOLDER;
        let handle = is_long.then(|| File::open(&folder)).transpose()?;
        // Every process of the user finds the way through a handle of this one.
        let short = |handle: &File| PathBuf::from(format!("/proc/{}/fd/{}", process::id(), handle.as_raw_fd()));
        let folder = handle.as_ref().map_or(folder, short);
        let bind = |path: &Path| UnixListener::bind(path);
        let (listener, path) = Builder::new().prefix("").rand_bytes(NAME).make_in(folder, bind)?.into_parts();
        listener.set_nonblocking(true)?;
        let place = place.to_owned();
        Ok(Self { listener, connections: Vec::new(), is_used: false, path, place, _folder: handle })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What becomes readable once there is something to hear.
    pub fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.connections.len() < MAX_CONNECTIONS).then(|| self.listener.as_fd());
        listener.into_iter().chain(self.connections.iter().map(|connection| connection.stream.as_fd()))
    }

    /// Takes in what there is to hear, and waits for no more.
    pub fn hear(&mut self, log: &mut Log) {
        while self.connections.len() < MAX_CONNECTIONS
            && let Some(connection) = accept(&self.listener)
        {
            self.is_used = true;
            self.connections.push(connection);
        }
        self.connections.retain_mut(|connection| connection.hear(log));
        log.flush();
    }

    /// Takes in what is left when the command is over: whoever connected before that is heard. Gives back a socket to
    /// which nobody has connected.
    pub fn end(mut self, log: &mut Log) -> Option<Self> {
        match accept(&self.listener) {
            None if !self.is_used => return Some(self),
            first => self.connections.extend(first),
        }
        // Nobody else can connect any more, so there is an end.
        drop(self.path);
        let waiting = iter::from_fn(|| accept(&self.listener));
        self.connections.into_iter().chain(waiting).for_each(|connection| connection.end(log));
        log.flush();
        None
    }
}

/// Someone who has connected and was not heard yet.
fn accept(listener: &UnixListener) -> Option<Connection> {
    let (stream, _) = listener.accept().ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(Connection { stream, lines: Lines::default() })
}

struct Connection {
    stream: UnixStream,
    lines: Lines,
}

impl Connection {
    /// Takes in a piece of what was written, and says whether more can come.
    fn hear(&mut self, log: &mut Log) -> bool {
        let is_open = match self.read(log) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if !is_open {
            self.lines.end(|line| log.line(line));
        }
        is_open
    }

    /// Takes in all that was written. Who is no part of the command may have it open still, and can write no more.
    fn end(mut self, log: &mut Log) {
        let _ = self.stream.shutdown(Shutdown::Read);
        while let Ok(1..) = self.read(log) {}
        self.lines.end(|line| log.line(line));
    }

    fn read(&mut self, log: &mut Log) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.lines.take(&buffer[..count], |line| log.line(line));
        Ok(count)
    }
}
