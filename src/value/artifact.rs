use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The letters that a hash is written with.
const LETTERS: usize = 64;

/// The BLAKE3 hash of some bytes: the name under which they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All that may be a hash in a text. What only looks like one means nothing but a file of that very name.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> {
        let words = text.split(|c: char| !c.is_ascii_hexdigit());
        words.filter(|word| word.len() == LETTERS).filter_map(|word| word.parse().ok())
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, blake3::HexError> {
        Ok(Self(*blake3::Hash::from_hex(text)?.as_bytes()))
    }
}

impl TryFrom<String> for Hash {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, blake3::HexError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// A file in the object store: weights, a model card, a checkpoint, whatever a task declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// What to call it when it is taken out, such as `final.safetensors`.
    pub name: String,
    /// The hash of its bytes.
    pub hash: Hash,
    /// Its length in bytes.
    pub bytes: u64,
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.12})", self.name, self.hash.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_also_in_a_text_inside_a_text() {
        let hash = Hash::of(b"a");
        let text = format!(r#"{{"text":"{{\"hash\":\"{hash}\"}}","not":"{hash}0"}}"#);
        assert_eq!(Hash::all_in(&text).collect::<Vec<_>>(), [hash]);
    }
}
