//! How a served store and those who use it talk: a request is a letter with what it asks for, an answer a letter with what
//! came of it. Numbers are little-endian. Each length is checked before memory is taken for it.

use super::Key;
use bytes::Bytes;
use std::{
    io::{self, Read, Write},
    time::Duration,
};

/// The most keys in a request.
const KEYS: u32 = 1 << 20;
/// The longest key, in bytes.
const KEY: u32 = 4096;
/// The largest blob, in bytes.
const BLOB: u64 = 1 << 33;
/// Memory that is taken on nothing but the word of the other side, in bytes.
const TRUSTED: u64 = 1 << 24;

/// What is asked of a store.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Put(Vec<(Key, Bytes)>),
    Get(Vec<Key>, Duration),
    Remove(Vec<Key>),
    Clear(Key),
}

impl Request {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Put(blobs) => {
                to.write_all(b"p")?;
                write_count(to, blobs.len())?;
                for (key, bytes) in blobs {
                    write_key(to, key)?;
                    write_blob(to, bytes)?;
                }
            }
            Self::Get(keys, patience) => {
                to.write_all(b"g")?;
                to.write_all(&u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).to_le_bytes())?;
                write_keys(to, keys)?;
            }
            Self::Remove(keys) => {
                to.write_all(b"r")?;
                write_keys(to, keys)?;
            }
            Self::Clear(prefix) => {
                to.write_all(b"c")?;
                write_key(to, prefix)?;
            }
        }
        to.flush()
    }

    /// Reads the next request; none when the other side has ended.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut letter = [0];
        if from.read(&mut letter)? == 0 {
            return Ok(None);
        }
        Ok(Some(match &letter {
            b"p" => Self::Put(read_list(from, |from| Ok((read_key(from)?, read_blob(from)?)))?),
            b"g" => {
                let patience = Duration::from_millis(u64::from_le_bytes(read_array(from)?));
                Self::Get(read_list(from, read_key)?, patience)
            }
            b"r" => Self::Remove(read_list(from, read_key)?),
            b"c" => Self::Clear(read_key(from)?),
            _ => return Err(broken("no request begins so")),
        }))
    }
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Found(Vec<Option<Bytes>>),
}

impl Answer {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Done => to.write_all(b"d")?,
            Self::Found(blobs) => {
                to.write_all(b"f")?;
                write_count(to, blobs.len())?;
                for blob in blobs {
                    to.write_all(&[u8::from(blob.is_some())])?;
                    blob.iter().try_for_each(|bytes| write_blob(to, bytes))?;
                }
            }
        }
        to.flush()
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        match &read_array(from)? {
            b"d" => Ok(Self::Done),
            b"f" => Ok(Self::Found(read_list(from, |from| match read_array(from)? {
                [0] => Ok(None),
                [1] => read_blob(from).map(Some),
                _ => Err(broken("a blob is there or is not")),
            })?)),
            _ => Err(broken("no answer begins so")),
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn write_count(to: &mut impl Write, count: usize) -> io::Result<()> {
    let count = u32::try_from(count).ok().filter(|count| *count <= KEYS);
    to.write_all(&count.ok_or_else(|| broken("too many keys in one request"))?.to_le_bytes())
}

fn write_key(to: &mut impl Write, key: &Key) -> io::Result<()> {
    let text = key.as_str().as_bytes();
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= KEY);
    to.write_all(&length.ok_or_else(|| broken("a key is too long"))?.to_le_bytes())?;
    to.write_all(text)
}

fn write_keys(to: &mut impl Write, keys: &[Key]) -> io::Result<()> {
    write_count(to, keys.len())?;
    keys.iter().try_for_each(|key| write_key(to, key))
}

fn write_blob(to: &mut impl Write, bytes: &Bytes) -> io::Result<()> {
    let length = bytes.len() as u64;
    if length > BLOB {
        return Err(broken("a blob is too large"));
    }
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    from.read_exact(&mut array)?;
    Ok(array)
}

fn read_list<R: Read, T>(from: &mut R, read: impl Fn(&mut R) -> io::Result<T>) -> io::Result<Vec<T>> {
    let count = u32::from_le_bytes(read_array(from)?);
    if count > KEYS {
        return Err(broken("too many keys in one request"));
    }
    (0..count).map(|_| read(from)).collect()
}

fn read_key(from: &mut impl Read) -> io::Result<Key> {
    let length = u32::from_le_bytes(read_array(from)?);
    if length > KEY {
        return Err(broken("a key is too long"));
    }
    let text = String::from_utf8(read_bytes(from, length.into())?).map_err(|_| broken("a key is no text"))?;
    Ok(Key::new(&[&text]))
}

fn read_blob(from: &mut impl Read) -> io::Result<Bytes> {
    let length = u64::from_le_bytes(read_array(from)?);
    if length > BLOB {
        return Err(broken("a blob is too large"));
    }
    read_bytes(from, length).map(Bytes::from)
}

/// So many bytes.
pub(super) fn read_bytes(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    // `TRUSTED` fits a `usize`. What is longer grows with what really comes.
    let mut bytes = Vec::with_capacity(length.min(TRUSTED) as usize);
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn requests() -> Vec<Request> {
        let (one, two) = (Key::new(&[&"a", &1]), Key::new(&[&"größe"]));
        vec![
            Request::Put(vec![(one.clone(), Bytes::from("x")), (two.clone(), Bytes::new())]),
            Request::Get(vec![one.clone(), two.clone()], Duration::from_millis(1500)),
            Request::Remove(vec![two]),
            Request::Clear(one),
        ]
    }

    fn written(request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes: Vec<u8> = requests().iter().flat_map(written).collect();
        let mut bytes = &bytes[..];
        for request in requests() {
            assert_eq!(Request::read(&mut bytes).unwrap(), Some(request));
        }
        assert_eq!(Request::read(&mut bytes).unwrap(), None);
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for request in requests() {
            let bytes = written(&request);
            for end in 1..bytes.len() {
                assert!(Request::read(&mut &bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        let huge = [&b"p\x01\0\0\0\x01\0\0\0k"[..], &(BLOB - 1).to_le_bytes(), b"x"].concat();
        for bytes in [&b"g\0\0\0\0\0\0\0\0\xff\xff\xff\xff"[..], b"c\xff\xff\xff\xff", &huge, b"c\x01\0\0\0\xff"] {
            assert!(Request::read(&mut &bytes[..]).is_err());
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_read(bytes: Vec<u8>, letter in "[pgrcdf]") {
            let bytes = [letter.as_bytes(), &bytes].concat();
            let _ = (Request::read(&mut &bytes[..]), Answer::read(&mut &bytes[..]));
        }
    }
}
