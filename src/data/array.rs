//! Arrays of numbers as files hold them, and tables made of pairs of them.

use super::{DataError, Place, Read, Request, Table, labels};
use half::{bf16, f16};
use std::borrow::Cow;

/// The type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte that is 0 or 1.
    Bool,
    /// 8 bits with a sign.
    I8,
    /// 8 bits.
    U8,
    /// 16 bits with a sign.
    I16,
    /// 16 bits.
    U16,
    /// 32 bits with a sign.
    I32,
    /// 32 bits.
    U32,
    /// 64 bits with a sign.
    I64,
    /// 64 bits.
    U64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl Kind {
    /// The bytes of a number.
    pub const fn width(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

/// How numbers stand in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whether the first byte of a number is its highest.
    pub big_endian: bool,
    /// Whether the first index runs quickest, as in Fortran.
    pub first_quickest: bool,
}

impl Order {
    /// Little endian, the last index quickest.
    pub const USUAL: Self = Self { big_endian: false, first_quickest: false };
}

/// Numbers in as many dimensions as there are sizes.
pub struct Array<'b> {
    sizes: Vec<usize>,
    kind: Kind,
    order: Order,
    bytes: Cow<'b, [u8]>,
}

impl<'b> Array<'b> {
    /// The bytes that an array has, if its sizes make sense.
    pub fn bytes(sizes: &[usize], kind: Kind) -> Option<usize> {
        sizes.iter().try_fold(kind.width(), |product, size| product.checked_mul(*size))
    }

    /// An array over its bytes; says what does not fit.
    pub fn new(sizes: Vec<usize>, kind: Kind, order: Order, bytes: Cow<'b, [u8]>) -> Result<Self, String> {
        if Self::bytes(&sizes, kind) != Some(bytes.len()) {
            let (sizes, found) = (shown(&sizes), bytes.len());
            return Err(format!("its sizes are {sizes}, which does not fit the {found} bytes that follow"));
        }
        Ok(Self { sizes, kind, order, bytes })
    }

    /// Images in one channel, where samples are flat images.
    #[must_use]
    pub fn with_channel(mut self) -> Self {
        if self.sizes.len() == 3 {
            self.sizes.insert(1, 1);
        }
        self
    }

    fn each<const N: usize, T: Copy>(&self, number: impl Fn([u8; N]) -> T) -> Vec<T> {
        let chunks = self.bytes.as_chunks().0.iter().copied();
        let numbers = chunks.map(|mut bytes: [u8; N]| {
            if self.order.big_endian {
                bytes.reverse();
            }
            number(bytes)
        });
        let numbers: Vec<T> = numbers.collect();
        if self.order.first_quickest { last_quickest(&numbers, &self.sizes) } else { numbers }
    }

    /// The numbers as features, the last index quickest.
    fn features(&self) -> Vec<f32> {
        match self.kind {
            Kind::Bool => self.each(|[byte]| f32::from(byte != 0)),
            Kind::I8 => self.each(|bytes| f32::from(i8::from_le_bytes(bytes))),
            Kind::U8 => self.each(|[byte]| f32::from(byte)),
            Kind::I16 => self.each(|bytes| f32::from(i16::from_le_bytes(bytes))),
            Kind::U16 => self.each(|bytes| f32::from(u16::from_le_bytes(bytes))),
            Kind::I32 => self.each(|bytes| i32::from_le_bytes(bytes) as f32),
            Kind::U32 => self.each(|bytes| u32::from_le_bytes(bytes) as f32),
            Kind::I64 => self.each(|bytes| i64::from_le_bytes(bytes) as f32),
            Kind::U64 => self.each(|bytes| u64::from_le_bytes(bytes) as f32),
            Kind::F16 => self.each(|bytes| f16::from_le_bytes(bytes).to_f32()),
            Kind::Bf16 => self.each(|bytes| bf16::from_le_bytes(bytes).to_f32()),
            Kind::F32 => self.each(f32::from_le_bytes),
            Kind::F64 => self.each(|bytes| f64::from_le_bytes(bytes) as f32),
        }
    }

    /// The numbers as labels: whole ones are classes.
    fn targets(&self) -> Targets {
        Targets::Classes(match self.kind {
            Kind::Bool => self.each(|[byte]| i128::from(byte != 0)),
            Kind::I8 => self.each(|bytes| i8::from_le_bytes(bytes).into()),
            Kind::U8 => self.each(|[byte]| byte.into()),
            Kind::I16 => self.each(|bytes| i16::from_le_bytes(bytes).into()),
            Kind::U16 => self.each(|bytes| u16::from_le_bytes(bytes).into()),
            Kind::I32 => self.each(|bytes| i32::from_le_bytes(bytes).into()),
            Kind::U32 => self.each(|bytes| u32::from_le_bytes(bytes).into()),
            Kind::I64 => self.each(|bytes| i64::from_le_bytes(bytes).into()),
            Kind::U64 => self.each(|bytes| u64::from_le_bytes(bytes).into()),
            Kind::F16 => return Targets::Numbers(self.each(|bytes| f16::from_le_bytes(bytes).to_f64())),
            Kind::Bf16 => return Targets::Numbers(self.each(|bytes| bf16::from_le_bytes(bytes).to_f64())),
            Kind::F32 => return Targets::Numbers(self.each(|bytes| f32::from_le_bytes(bytes).into())),
            Kind::F64 => return Targets::Numbers(self.each(f64::from_le_bytes)),
        })
    }
}

/// Sizes as people write them.
pub fn shown(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join("×")
}

/// Numbers whose first index runs quickest, brought into the order in which the last one does.
fn last_quickest<T: Copy>(numbers: &[T], sizes: &[usize]) -> Vec<T> {
    let mut index = vec![0; sizes.len()];
    let mut place = 0;
    let mut ordered = Vec::with_capacity(numbers.len());
    for _ in 0..numbers.len() {
        ordered.push(numbers[place]);
        let mut stride = numbers.len();
        for (index, size) in index.iter_mut().zip(sizes).rev() {
            stride /= size;
            *index += 1;
            place += stride;
            if *index < *size {
                break;
            }
            *index = 0;
            place -= stride * size;
        }
    }
    ordered
}

enum Targets {
    Classes(Vec<i128>),
    Numbers(Vec<f64>),
}

impl Targets {
    fn numbers(self) -> Vec<f64> {
        match self {
            Self::Classes(classes) => classes.into_iter().map(|class| class as f64).collect(),
            Self::Numbers(numbers) => numbers,
        }
    }

    /// Labels of another file behind these; all are numbers where some are.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Classes(mut all), Self::Classes(other)) => {
                all.extend(other);
                Self::Classes(all)
            }
            (all, other) => Self::Numbers([all.numbers(), other.numbers()].concat()),
        }
    }
}

/// An array with the name by which its user knows it.
pub struct Named<'a> {
    /// Where it is from, such as `digits.npz/x`.
    pub name: String,
    /// What it holds.
    pub array: &'a Array<'a>,
}

/// Arrays of features and of labels, file by file.
pub struct Stack {
    shape: Vec<usize>,
    features: Vec<f32>,
    targets: Targets,
}

impl Stack {
    /// No sample yet.
    pub const fn new() -> Self {
        Self { shape: Vec::new(), features: Vec::new(), targets: Targets::Classes(Vec::new()) }
    }

    /// Adds the samples of a file.
    pub fn push(&mut self, features: &Named, labels: &Named) -> Result<(), DataError> {
        let (name, (rows, sample)) = (&features.name, features.array.sizes.split_first().unwrap_or((&1, &[])));
        let shape = if sample.is_empty() { vec![1] } else { sample.to_vec() };
        match labels.array.sizes.as_slice() {
            [found] | [found, 1] if found == rows => {}
            [found] | [found, 1] => {
                let (images, labels) = (name.clone(), labels.name.clone());
                return Err(DataError::Unpaired { images, labels, rows: *rows, found: *found });
            }
            sizes => return Err(DataError::LabelSizes { name: labels.name.clone(), sizes: sizes.to_vec() }),
        }
        if !self.shape.is_empty() && self.shape != shape {
            let expected = std::mem::take(&mut self.shape);
            return Err(DataError::SampleShape { name: name.clone(), found: shape, expected });
        }
        let width: usize = shape.iter().product();
        if width == 0 {
            return Err(DataError::NoNumbers(name.clone()));
        }
        let numbers = features.array.features();
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(unusable(numbers[index].into(), name, index / width));
        }
        let targets = labels.array.targets();
        if let Targets::Numbers(numbers) = &targets
            && let Some(row) = numbers.iter().position(|number| !number.is_finite())
        {
            return Err(unusable(numbers[row], &labels.name, row));
        }
        self.shape = shape;
        self.features.extend(numbers);
        self.targets = std::mem::replace(&mut self.targets, Targets::Classes(Vec::new())).join(targets);
        Ok(())
    }

    /// The table of all samples; `feature` is what the columns are called.
    pub fn finish(self, feature: &str, request: &Request) -> Result<Read, DataError> {
        let labels = match self.targets {
            Targets::Classes(classes) => labels::of_classes(&classes, request.known, request.first())?,
            Targets::Numbers(numbers) => labels::of_numbers(numbers, request.known, request.first())?,
        };
        if labels.is_empty() {
            return Err(request.empty());
        }
        let table = Table { features: self.features, shape: self.shape, labels };
        let columns = (0..table.width()).map(|index| format!("{feature}{index}")).collect();
        Ok(Read { table, columns, named: false, vocabulary: None })
    }
}

/// A number that is none, in the sample `row`.
fn unusable(number: f64, name: &str, row: usize) -> DataError {
    let (path, at) = (name.to_owned(), Place::Sample(row as u64 + 1));
    match number.is_nan() {
        true => DataError::Missing { path, at },
        false => DataError::NotANumber { path, at, value: number.to_string() },
    }
}
