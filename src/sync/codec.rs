//! How numbers are written on their way: bytes of one order, whatever the machine.

use crate::wire::Codec;
use bytes::Bytes;
use half::{bf16, f16};
use std::iter;

/// How the numbers of a bucket are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are, 4 bytes each.
    F32,
    /// Rounded to the nearest bfloat16, ties to even.
    Bf16,
    /// Rounded to the nearest half, ties to even; what is too large becomes infinite.
    F16,
    /// As they are, without the zeros: how many numbers there are, then the place and the value of each that is not +0. When
    /// that is no shorter, all values.
    Sparse,
}

impl Form {
    /// The form of a bucket. Every form but `F32`, and every codec but that, gives other bits for another number of
    /// workers.
    pub fn of(codec: Codec, exact: bool) -> Self {
        match codec {
            Codec::F32 => Self::F32,
            _ if exact => Self::F32,
            Codec::Bf16 => Self::Bf16,
            Codec::F16 => Self::F16,
            Codec::TopK(_) => Self::Sparse,
        }
    }

    /// Numbers as bytes.
    pub fn encode(self, numbers: &[f32]) -> Bytes {
        match self {
            Self::F32 => dense(numbers, f32::to_le_bytes).into(),
            Self::Bf16 => dense(numbers, |number| bf16::from_f32(number).to_le_bytes()).into(),
            Self::F16 => dense(numbers, |number| f16::from_f32(number).to_le_bytes()).into(),
            Self::Sparse => {
                let kept = numbers.iter().filter(|number| number.to_bits() != 0).count();
                let count = (numbers.len() as u32).to_le_bytes();
                let entry = |(index, number): (u32, &f32)| [index.to_le_bytes(), number.to_le_bytes()];
                let is_kept = |(_, number): &(u32, &f32)| number.to_bits() != 0;
                let words: Vec<[u8; 4]> = if kept * 8 < numbers.len() * 4 {
                    iter::once(count).chain((0..).zip(numbers).filter(is_kept).flat_map(entry)).collect()
                } else {
                    iter::once(count).chain(numbers.iter().map(|number| number.to_le_bytes())).collect()
                };
                words.into_flattened().into()
            }
        }
    }

    /// Reads as many numbers as there is room for.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(self, bytes: &[u8], numbers: &mut [f32]) -> Result<(), String> {
        self.check(bytes, numbers.len())?;
        match self {
            Self::F32 => read(bytes, numbers, f32::from_le_bytes),
            Self::Bf16 => read(bytes, numbers, |number| bf16::from_le_bytes(number).to_f32()),
            Self::F16 => read(bytes, numbers, |number| f16::from_le_bytes(number).to_f32()),
            Self::Sparse if bytes.len() - 4 == numbers.len() * 4 => read(&bytes[4..], numbers, f32::from_le_bytes),
            Self::Sparse => {
                numbers.fill(0.0);
                for entry in bytes[4..].as_chunks::<8>().0 {
                    let [a, b, c, d, value @ ..] = *entry;
                    let index = u32::from_le_bytes([a, b, c, d]) as usize;
                    let number = numbers.get_mut(index).ok_or_else(|| format!("it has no place {index}"))?;
                    *number = f32::from_le_bytes(value);
                }
            }
        }
        Ok(())
    }

    /// Holds bytes to a number of numbers.
    ///
    /// # Errors
    /// When they hold another.
    pub fn check(self, bytes: &[u8], wanted: usize) -> Result<(), String> {
        match self.count(bytes)? {
            found if found == wanted => Ok(()),
            found => Err(format!("it holds {found} numbers, and not {wanted}")),
        }
    }

    /// The bytes of each number, where all have equally many.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::F32 => Some(4),
            Self::Bf16 | Self::F16 => Some(2),
            Self::Sparse => None,
        }
    }

    /// How many numbers these bytes hold.
    ///
    /// # Errors
    /// When that can't be.
    pub fn count(self, bytes: &[u8]) -> Result<usize, String> {
        let torn = || format!("{} bytes are not whole numbers", bytes.len());
        match (self, bytes.split_first_chunk::<4>()) {
            (Self::F32, _) if bytes.len().is_multiple_of(4) => Ok(bytes.len() / 4),
            (Self::Bf16 | Self::F16, _) if bytes.len().is_multiple_of(2) => Ok(bytes.len() / 2),
            (Self::Sparse, Some((count, rest))) => {
                let count = u32::from_le_bytes(*count) as usize;
                let entries = rest.len().is_multiple_of(8) && rest.len() / 8 * 2 < count;
                if entries || rest.len() == count * 4 { Ok(count) } else { Err(torn()) }
            }
            _ => Err(torn()),
        }
    }

    /// The numbers as those see them to whom they are given.
    pub fn as_given(self, mut numbers: Vec<f32>) -> Vec<f32> {
        self.round(&mut numbers);
        numbers
    }

    /// Makes numbers what those see to whom they are given.
    pub fn round(self, numbers: &mut [f32]) {
        match self {
            Self::F32 | Self::Sparse => {}
            Self::Bf16 => numbers.iter_mut().for_each(|number| *number = bf16::from_f32(*number).to_f32()),
            Self::F16 => numbers.iter_mut().for_each(|number| *number = f16::from_f32(*number).to_f32()),
        }
    }
}

/// Numbers of one width.
fn dense<const WIDTH: usize>(numbers: &[f32], write: impl Fn(f32) -> [u8; WIDTH]) -> Vec<u8> {
    numbers.iter().map(|number| write(*number)).collect::<Vec<_>>().into_flattened()
}

fn read<const WIDTH: usize>(bytes: &[u8], numbers: &mut [f32], read: impl Fn([u8; WIDTH]) -> f32) {
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *number = read(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Form; 4] = [Form::F32, Form::Bf16, Form::F16, Form::Sparse];

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|number| number.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bits in prop::collection::vec(prop_oneof![Just(0), any::<u32>()], 0..40)) {
            let numbers: Vec<f32> = bits.into_iter().map(f32::from_bits).map(|n| if n.is_nan() { f32::NAN } else { n }).collect();
            for form in ALL {
                let bytes = form.encode(&numbers);
                let mut read = vec![1.0; numbers.len()];
                form.decode(&bytes, &mut read).unwrap();
                prop_assert_eq!(self::bits(&read), self::bits(&form.as_given(numbers.clone())), "{:?}", form);
                prop_assert_eq!(form.encode(&read), bytes, "{:?}", form);
            }
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..40), room in 0_usize..20) {
            for form in ALL {
                let mut read = vec![0.0; room];
                let is_read = form.decode(&bytes, &mut read).is_ok();
                prop_assert!(!is_read || form.count(&bytes) == Ok(room));
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_ties_to_even() {
        // Between the neighbours 1 and 1 + 2^-7 of bfloat16, and 1 and 1 + 2^-10 of halves.
        let given = Form::Bf16.as_given(vec![1.0 + 0.003_906_25, 1.0 + 0.003_91, 1.0 + 3.0 * 0.003_906_25]);
        assert_eq!(given, [1.0, 1.007_812_5, 1.015_625]);
        let given = Form::F16.as_given(vec![1.0 + 0.000_488_281_25, 1.000_489, 70_000.0]);
        assert_eq!(given, [1.0, 1.000_976_6, f32::INFINITY]);
    }

    #[test]
    fn a_place_behind_the_end_is_told() {
        let bytes = [3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert!(Form::Sparse.decode(&bytes, &mut [0.0; 3]).unwrap_err().contains("no place 3"));
    }
}
