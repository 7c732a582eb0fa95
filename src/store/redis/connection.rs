//! A connection to a Redis server: commands that are sent together, and the replies to them. Blobs are written from where they
//! lie, and read to where they stay.

use super::{address::Access, reply::Reply, tls};
use rustls::{ClientConnection, StreamOwned};
use std::{
    io::{self, BufReader, IoSlice, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Commands that are sent together.
#[derive(Default)]
pub(super) struct Request<'b> {
    text: Vec<u8>,
    /// Blobs, each with how much of the text stands before it.
    blobs: Vec<(usize, &'b [u8])>,
    commands: usize,
}

impl<'b> Request<'b> {
    /// Adds a command.
    pub fn command(&mut self, words: &[&str]) {
        self.head('*', words.len());
        words.iter().for_each(|word| self.word(word));
        self.commands += 1;
    }

    /// Adds a `SET` that lasts for `expiry` milliseconds.
    pub fn set(&mut self, name: &str, blob: &'b [u8], expiry: &str) {
        self.head('*', 5);
        self.word("SET");
        self.word(name);
        self.head('$', blob.len());
        self.blobs.push((self.text.len(), blob));
        self.text.extend(b"\r\n");
        self.word("PX");
        self.word(expiry);
        self.commands += 1;
    }

    fn word(&mut self, word: &str) {
        self.head('$', word.len());
        self.text.extend(word.as_bytes());
        self.text.extend(b"\r\n");
    }

    fn head(&mut self, kind: char, count: usize) {
        // Memory takes it all.
        let _ = write!(self.text, "{kind}{count}\r\n");
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (mut slices, mut done) = (Vec::with_capacity(2 * self.blobs.len() + 1), 0);
        for (before, blob) in &self.blobs {
            slices.extend([IoSlice::new(&self.text[done..*before]), IoSlice::new(blob)]);
            done = *before;
        }
        slices.push(IoSlice::new(&self.text[done..]));
        let mut left = &mut slices[..];
        // Without those that are empty.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match to.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        to.flush()
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection failed, or what came over it makes no sense.
    Io(io::Error),
    /// What the server said instead.
    Said(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// To open.
    pub open: Duration,
    /// To take more bytes.
    pub write: Duration,
    /// To give more.
    pub read: Duration,
}

/// A connection that is open and logged in.
pub(super) struct Connection(BufReader<Stream>);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When the server can't be reached, is not trusted, or refuses.
    pub fn open(host: &str, port: u16, access: &Access, times: Times) -> Result<Self, Fault> {
        let socket = connect(host, port, times.open)?;
        // Without delay, a request whose end is short need not wait until the server has confirmed the rest.
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(times.open.min(times.write)))?;
        socket.set_read_timeout(Some(times.open))?;
        let stream = match &access.tls {
            None => Stream::Plain(socket),
            Some(config) => Stream::Tls(Box::new(tls::shake_hands(socket, host, config)?)),
        };
        let mut connection = Self(BufReader::new(stream));
        let mut hello = Request::default();
        if !access.login.is_empty() {
            let login = access.login.iter().map(String::as_str);
            hello.command(&["AUTH"].into_iter().chain(login).collect::<Vec<_>>());
        }
        if access.database != 0 {
            hello.command(&["SELECT", &access.database.to_string()]);
        }
        connection.ask(&hello)?;
        let socket = connection.0.get_ref().socket();
        socket.set_write_timeout(Some(times.write))?;
        socket.set_read_timeout(Some(times.read))?;
        Ok(connection)
    }

    /// The replies to commands. After an error there may be more of them under way: the connection is then of no more use.
    ///
    /// # Errors
    /// When the connection fails, or the server refuses a command.
    pub fn ask(&mut self, request: &Request) -> Result<Vec<Reply>, Fault> {
        request.write(self.0.get_mut())?;
        let reply = |_| Reply::read(&mut self.0)?.check().map_err(Fault::Said);
        (0..request.commands).map(reply).collect()
    }
}

fn connect(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name leads nowhere");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Tls(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
