//! Replies of a Redis server, as its protocol writes them (RESP2).

use crate::store::frames::read_bytes;
use std::io::{self, BufRead, Read};

/// The largest blob, in bytes: what a server takes at most unless it is configured otherwise.
pub(super) const BLOB: usize = 512 << 20;
/// The longest line, in bytes: of what a server says in words.
const LINE: u64 = 1 << 16;
/// How deep lists lie within each other at most.
const DEPTH: usize = 8;

/// What a server replies to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing is there.
    Nothing,
    /// A word, such as that all is well.
    Word(String),
    /// A refusal, which begins with a code.
    Refusal(String),
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Reply {
    /// Reads the next one.
    ///
    /// # Errors
    /// When it is cut short, or none.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        Self::read_within(from, DEPTH)
    }

    fn read_within(from: &mut impl BufRead, depth: usize) -> io::Result<Self> {
        let line = line(from)?;
        let (kind, text) = line.split_at_checked(1).ok_or_else(broken)?;
        let count = || text.parse::<i64>().map_err(|_| broken());
        Ok(match kind {
            "+" => Self::Word(text.to_owned()),
            "-" => Self::Refusal(text.to_owned()),
            ":" => Self::Number(count()?),
            "$" | "*" if count()? == -1 => Self::Nothing,
            "$" => {
                let length = u64::try_from(count()?).ok().filter(|length| *length <= BLOB as u64).ok_or_else(broken)?;
                let bytes = read_bytes(from, length)?;
                if self::line(from)?.is_empty() { Self::Bytes(bytes) } else { return Err(broken()) }
            }
            "*" if depth > 0 => {
                let count = u64::try_from(count()?).map_err(|_| broken())?;
                // It grows with what really comes.
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(Self::read_within(from, depth - 1)?);
                }
                Self::List(list)
            }
            _ => return Err(broken()),
        })
    }

    /// The same, if there is no refusal in it.
    ///
    /// # Errors
    /// The refusal.
    pub fn check(self) -> Result<Self, String> {
        match self {
            Self::Refusal(reason) => Err(reason),
            Self::List(list) => Ok(Self::List(list.into_iter().map(Self::check).collect::<Result<_, _>>()?)),
            other => Ok(other),
        }
    }
}

/// A line without its end.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.by_ref().take(LINE).read_until(b'\n', &mut line)?;
    if line.ends_with(b"\r\n") {
        line.truncate(line.len() - 2);
        String::from_utf8(line).map_err(|_| broken())
    } else if line.len() as u64 == LINE {
        Err(broken())
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"))
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it answers what no Redis does")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_is_read() {
        let mut from = &b"+OK\r\n:-7\r\n$-1\r\n*-1\r\n$4\r\n\r\n\0x\r\n*2\r\n*0\r\n$0\r\n\r\n-OOM no room\r\n"[..];
        let list = Reply::List(vec![Reply::List(vec![]), Reply::Bytes(vec![])]);
        let bytes = Reply::Bytes(b"\r\n\0x".to_vec());
        let word = Reply::Word("OK".to_owned());
        for wanted in [word, Reply::Number(-7), Reply::Nothing, Reply::Nothing, bytes, list] {
            assert_eq!(Reply::read(&mut from).unwrap().check(), Ok(wanted));
        }
        assert_eq!(Reply::read(&mut from).unwrap().check(), Err("OOM no room".to_owned()));
    }

    #[test]
    fn a_refusal_in_a_list_is_found() {
        let mut from = &b"*2\r\n+OK\r\n*1\r\n-ERR no\r\n"[..];
        assert_eq!(Reply::read(&mut from).unwrap().check(), Err("ERR no".to_owned()));
    }

    #[test]
    fn lengths_and_depths_are_not_believed() {
        let deep = "*1\r\n".repeat(100_000);
        let long = format!("+{}", "x".repeat(100_000));
        for text in [
            "$536870913\r\nx",
            "$536870912\r\nx",
            "*9000000000\r\n",
            "$-2\r\n",
            "*-2\r\n",
            "$1\r\nxy\r\n",
            "?\r\n",
            &deep,
            &long,
        ] {
            assert!(Reply::read(&mut text.as_bytes()).is_err(), "{text:.20}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_read(bytes: Vec<u8>, kind in "[-+:$*][0-9]{0,3}") {
            let _ = Reply::read(&mut &[kind.as_bytes(), b"\r\n", &bytes].concat()[..]);
        }
    }
}
