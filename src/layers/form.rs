//! Shapes of samples, and what is known of them.

use std::fmt;

/// The shape of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The numbers in one sample; saturates.
    pub fn width(&self) -> usize {
        self.0.iter().fold(1, |product, size| product.saturating_mul(*size))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Form::from(self).fmt(f)
    }
}

/// What is known of a shape: its last sizes, some of them perhaps open, and whether they are all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    whole: bool,
    last: Vec<Option<usize>>,
}

impl From<&Shape> for Form {
    fn from(shape: &Shape) -> Self {
        Self::whole(shape.0.iter().copied().map(Some))
    }
}

impl Form {
    /// Nothing is known.
    pub const fn any() -> Self {
        Self { whole: false, last: Vec::new() }
    }

    /// All sizes, as far as each is known.
    pub fn whole(sizes: impl IntoIterator<Item = Option<usize>>) -> Self {
        Self { whole: true, last: sizes.into_iter().collect() }
    }

    /// The sizes, when there can be `N` of them.
    pub fn sizes<const N: usize>(&self) -> Option<[Option<usize>; N]> {
        let missing = N.checked_sub(self.last.len()).filter(|missing| *missing == 0 || !self.whole)?;
        let mut sizes = [None; N];
        sizes[missing..].copy_from_slice(&self.last);
        Some(sizes)
    }

    /// The last size, as far as it is known.
    pub fn last(&self) -> Option<usize> {
        self.last.last().copied().flatten()
    }

    /// The same but for the last size.
    #[must_use]
    pub fn with_last(&self, size: Option<usize>) -> Self {
        let mut form = self.clone();
        match form.last.last_mut() {
            Some(last) => *last = size,
            None => form.last.push(size),
        }
        form
    }

    /// The numbers in one sample, when they are known; saturates.
    pub fn width(&self) -> Option<usize> {
        let sizes: Vec<usize> = self.last.iter().copied().collect::<Option<_>>().filter(|_| self.whole)?;
        Some(Shape(sizes).width())
    }

    /// Whether both can be one shape.
    pub fn fits(&self, other: &Self) -> bool {
        let (short, long) = if self.last.len() < other.last.len() { (self, other) } else { (other, self) };
        let pairs = short.last.iter().rev().zip(long.last.iter().rev());
        (!short.whole || short.last.len() == long.last.len()) && pairs.into_iter().all(|(a, b)| fits(*a, *b))
    }

    /// What either knows of a shape that is both.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let length = self.last.len().max(other.last.len());
        let size = |form: &Self, place: usize| form.last.iter().rev().nth(place).copied().flatten();
        let last = (0..length).rev().map(|place| size(self, place).or(size(other, place))).collect();
        Self { whole: self.whole || other.whole, last }
    }

    /// The shape, when it is known.
    pub fn exact(&self) -> Option<Shape> {
        self.last.iter().copied().collect::<Option<_>>().filter(|_| self.whole).map(Shape)
    }
}

/// Whether two sizes can be one.
pub const fn fits(a: Option<usize>, b: Option<usize>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.whole, self.last.as_slice()) {
            (true, [None]) => f.write_str("a flat row"),
            (false, []) => f.write_str("any shape"),
            (false, [Some(size)]) => write!(f, "rows of {size} numbers"),
            (whole, last) => {
                let sizes: Vec<String> =
                    last.iter().map(|size| size.map_or("_".into(), |size| size.to_string())).collect();
                write!(f, "[{}{}]", if whole { "" } else { "…, " }, sizes.join(", "))
            }
        }
    }
}
