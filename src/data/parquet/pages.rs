//! What the headers of pages claim, looked at before memory is taken for it (`parquet.thrift` of Apache Parquet, in the
//! compact protocol of Apache Thrift).

/// How many times its packed bytes a page may be at most: Snappy packs 64 bytes into 3 ("Snappy compressed format
/// description", section 2.2).
const MOST_PACKED: u64 = 22;

/// Whether a page among those of a column, packed by Snappy, claims to be more than it can be. What is wrong with them
/// otherwise shows when they are read.
pub fn claim_too_much(pages: &[u8]) -> bool {
    let mut rest = Compact(pages);
    while let Some(header) = rest.header() {
        if header.unpacked > header.packed.saturating_mul(MOST_PACKED) {
            return true;
        }
        if rest.take(header.packed).is_none() {
            return false;
        }
    }
    false
}

/// The sizes in a page's header.
#[derive(Default)]
struct Header {
    unpacked: u64,
    packed: u64,
}

/// The types of the compact protocol.
mod kind {
    pub const BOOLS: [u8; 2] = [1, 2];
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const STRUCT: u8 = 12;
}

/// Structures deeper than this are in no page header.
const MAX_DEPTH: u8 = 8;

struct Compact<'b>(&'b [u8]);

impl Compact<'_> {
    fn header(&mut self) -> Option<Header> {
        let mut header = Header::default();
        self.fields(|rest, id, kind| {
            match (id, kind) {
                (2, kind::I32) => header.unpacked = rest.size()?,
                (3, kind::I32) => header.packed = rest.size()?,
                _ => rest.skip(kind, MAX_DEPTH)?,
            }
            Some(())
        })?;
        Some(header)
    }

    /// The fields of a structure, by their numbers and types.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => zigzag(self.varint()?),
                step => id + i64::from(step),
            };
            each(self, id, head & 15)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // A field holds its truth in its type.
            kind if kind::BOOLS.contains(&kind) => Some(()),
            kind::I8 => self.take(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.take(8),
            kind::BINARY => {
                let length = self.varint()?;
                self.take(length)
            }
            kind::LIST | kind::SET => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                for _ in 0..count {
                    match head & 15 {
                        kind if kind::BOOLS.contains(&kind) => self.take(1)?,
                        kind => self.skip(kind, depth)?,
                    }
                }
                Some(())
            }
            kind::STRUCT => self.fields(|rest, _, kind| rest.skip(kind, depth)),
            _ => None,
        }
    }

    /// A whole number that says how many bytes there are.
    fn size(&mut self) -> Option<u64> {
        u64::try_from(zigzag(self.varint()?)).ok()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(unpacked: u32, packed: u8) -> Vec<u8> {
        let varint = |mut value: u32| {
            let mut bytes = Vec::new();
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
            bytes
        };
        // The type, both sizes, and a structure of a list, a text and a truth.
        let fields = [&[0x15, 0][..], &[0x15], &varint(unpacked * 2), &[0x15], &varint(u32::from(packed) * 2)].concat();
        let inner = [0x2c, 0x19, 0x25, 2, 4, 0x18, 1, b'a', 0x11, 0, 0];
        [&fields[..], &inner, &vec![7; packed.into()]].concat()
    }

    #[test]
    fn a_page_may_be_as_much_as_snappy_can_pack() {
        assert!(!claim_too_much(&page(2200, 100)));
        assert!(claim_too_much(&page(2201, 100)));
        assert!(claim_too_much(&page(1 << 30, 50)));
        assert!(claim_too_much(&[page(220, 10), page(1 << 30, 50)].concat()), "pages stand one behind another");
        let whole = [page(220, 10), page(220, 10)].concat();
        assert!((0..=whole.len()).all(|end| !claim_too_much(&whole[..end])));
    }
}
