//! Some samples as bytes.
//!
//! A piece is the number of its colours, the colours, a label for each sample, and the numbers of the samples. Where there
//! are few different numbers, as with pixels and words, each is the place of its colour, in one or two bytes; where there
//! are many, there are no colours, and the numbers stand for themselves. All are little endian, and whole to the bit.

use crate::data::Table;

/// The most colours that one byte tells apart.
const BYTE: usize = 1 << 8;
/// The most colours that two bytes tell apart.
const PAIR: usize = 1 << 16;
/// The places where colours are looked up: twice as many as there may be, so that a search is short.
const SLOTS: usize = 2 * PAIR;

/// Makes pieces.
#[derive(Default)]
pub struct Encoder {
    colours: Vec<u32>,
    /// For each hash of a colour, its place among the colours, from 1; others stand behind it where it is taken.
    slots: Vec<u32>,
    /// The place of each number's colour.
    places: Vec<u16>,
}

impl Encoder {
    /// The piece of some rows.
    pub fn encode(&mut self, table: &Table, rows: &[usize]) -> Vec<u8> {
        let width = table.width();
        let numbers = || rows.iter().flat_map(|row| &table.features[row * width..(row + 1) * width]);
        let count = rows.len() * width;
        let pays = self.find(numbers()) && (self.colours.len() <= BYTE || 2 * self.colours.len() < count);
        let colours = if pays { self.colours.as_slice() } else { &[] };
        let mut bytes = Vec::with_capacity(4 * (1 + colours.len() + rows.len() + count));
        bytes.extend((colours.len() as u32).to_le_bytes());
        colours.iter().for_each(|colour| bytes.extend(colour.to_le_bytes()));
        table.labels.select(rows).marks().for_each(|mark| bytes.extend(mark.to_le_bytes()));
        match colours.len() {
            0 => numbers().for_each(|number| bytes.extend(number.to_le_bytes())),
            1..=BYTE => bytes.extend(self.places.iter().map(|place| *place as u8)),
            _ => self.places.iter().for_each(|place| bytes.extend(place.to_le_bytes())),
        }
        bytes
    }

    /// Finds the colours of some numbers, unless there are too many.
    fn find<'f>(&mut self, numbers: impl Iterator<Item = &'f f32>) -> bool {
        self.colours.clear();
        self.places.clear();
        self.slots.clear();
        self.slots.resize(SLOTS, 0);
        for number in numbers {
            let bits = number.to_bits();
            // Multiplicative hashing (Knuth, "The Art of Computer Programming", volume 3, section 6.4).
            let mut slot = (bits.wrapping_mul(0x9e37_79b1) >> 15) as usize;
            let place = loop {
                match self.slots[slot] as usize {
                    0 if self.colours.len() == PAIR => return false,
                    0 => {
                        self.colours.push(bits);
                        self.slots[slot] = self.colours.len() as u32;
                        break self.colours.len() - 1;
                    }
                    place if self.colours[place - 1] == bits => break place - 1,
                    _ => slot = (slot + 1) % SLOTS,
                }
            };
            self.places.push(place as u16);
        }
        true
    }
}

/// Samples as a worker holds them.
#[derive(Debug)]
pub struct Piece {
    colours: Vec<f32>,
    marks: Vec<u32>,
    /// The numbers, or the places of their colours.
    numbers: Vec<u8>,
    width: usize,
}

impl Piece {
    /// The piece of so many rows of so many numbers, if its bytes are one.
    pub fn decode(bytes: &[u8], rows: usize, width: usize) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (colours, rest) = rest.split_at_checked(count.checked_mul(4)?)?;
        let (marks, numbers) = rest.split_at_checked(rows.checked_mul(4)?)?;
        let words =
            |bytes: &[u8]| -> Vec<u32> { bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect() };
        let piece = Self {
            colours: words(colours).into_iter().map(f32::from_bits).collect(),
            marks: words(marks),
            numbers: numbers.to_vec(),
            width,
        };
        let is_one = numbers.len() == rows.checked_mul(width)?.checked_mul(piece.size())?
            && match piece.size() {
                1 => numbers.iter().all(|place| usize::from(*place) < count),
                2 => numbers.as_chunks().0.iter().all(|place| usize::from(u16::from_le_bytes(*place)) < count),
                _ => true,
            };
        is_one.then_some(piece)
    }

    /// The bytes of a number.
    const fn size(&self) -> usize {
        match self.colours.len() {
            0 => 4,
            1..=BYTE => 1,
            _ => 2,
        }
    }

    /// Adds the numbers of a row to others.
    pub fn add_to(&self, features: &mut Vec<f32>, row: usize) {
        let bytes = self.width * self.size();
        let numbers = &self.numbers[row * bytes..(row + 1) * bytes];
        match self.size() {
            1 => features.extend(numbers.iter().map(|place| self.colours[usize::from(*place)])),
            2 => features.extend(
                numbers.as_chunks().0.iter().map(|place| self.colours[usize::from(u16::from_le_bytes(*place))]),
            ),
            _ => features.extend(numbers.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
        }
    }

    /// The label of a row, as [`marks`](crate::data::Labels::marks) writes it.
    pub fn mark(&self, row: usize) -> u32 {
        self.marks[row]
    }

    /// How many rows it has.
    pub const fn rows(&self) -> usize {
        self.marks.len()
    }
}
