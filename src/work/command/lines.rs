//! Lines of what comes in pieces.

use std::io::{BufRead, Read};

/// Longer lines are cut into pieces, so that a program that never ends its line can't fill the memory.
pub(super) const MAX_LINE: usize = 64 << 10;

/// A line whose end has not come yet.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Takes in a piece, and gives each line that it ends.
    pub fn take(&mut self, mut bytes: &[u8], mut give: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let room = (MAX_LINE - self.0.len()) as u64;
            // Reading from memory does not fail.
            let _ = Read::take(&mut bytes, room).read_until(b'\n', &mut self.0);
            if self.0.ends_with(b"\n") || self.0.len() == MAX_LINE {
                self.end(&mut give);
            }
        }
    }

    /// Gives what has come of a line as if that were the whole.
    pub fn end(&mut self, mut give: impl FnMut(&str)) {
        if !self.0.is_empty() {
            give(String::from_utf8_lossy(&self.0).trim_end_matches(['\n', '\r']));
            self.0.clear();
        }
    }
}
