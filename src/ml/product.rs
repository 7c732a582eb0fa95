//! Products of matrices, and sums, whose bits are the same on every processor that multiplies and adds in one rounding.

/// No product sums more than this many terms at once. The kernels would cut longer sums by the sizes of the processor's
/// caches, and the bits would tell them.
pub const DEPTH: usize = 512;

/// In products with no more places than this, of rows with columns that each lie in one piece, the kernels would sum in as
/// many strands as the processor's registers have places.
const FEW: usize = 256;

/// Numbers in rows and columns, each at fixed distances.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// The distance from a row to the next, and from a column to the next.
    strides: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// All of `values`, row after row.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `stride` apart.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values, rows, columns, stride), "a matrix lies in its values");
        Self { values, rows, columns, strides: (stride, 1) }
    }

    /// The same numbers with rows for columns.
    #[must_use]
    pub const fn transpose(self) -> Self {
        Self { rows: self.columns, columns: self.rows, strides: (self.strides.1, self.strides.0), ..self }
    }

    const fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.strides.0 + column * self.strides.1]
    }

    /// Some of its columns.
    fn columns(self, range: std::ops::Range<usize>) -> Self {
        Self { values: &self.values[range.start * self.strides.1..], columns: range.len(), ..self }
    }
}

fn fits(values: &[f32], rows: usize, columns: usize, stride: usize) -> bool {
    rows == 0 || columns == 0 || (stride >= columns && (rows - 1) * stride + columns <= values.len())
}

/// Writes `a b` into `product`, row after row, or adds it to what is there.
pub fn multiply(a: Matrix, b: Matrix, product: &mut [f32], add: bool) {
    let stride = b.columns;
    multiply_into(a, b, product, stride, add);
}

/// The same, into rows that begin `stride` apart. One thread does it, in one order.
pub fn multiply_into(a: Matrix, b: Matrix, product: &mut [f32], stride: usize, add: bool) {
    assert_eq!(a.columns, b.rows, "the matrices fit");
    assert!(fits(product, a.rows, b.columns, stride), "the product has room");
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    if b.columns == 1 {
        return multiply_column(a, b, product, stride, add);
    }
    let in_pieces = a.strides.1 == 1 && b.strides.0 == 1 && a.rows * b.columns <= FEW;
    if a.rows == 1 || in_pieces {
        return multiply_few(a, b, product, stride, add);
    }
    for start in (0..a.columns.max(1)).step_by(DEPTH) {
        let depth = start..a.columns.min(start + DEPTH);
        let (a, b) = (a.columns(depth.clone()), b.transpose().columns(depth).transpose());
        // SAFETY: the strides stay inside the slices: matrices are made to lie in their values, and so does the product.
        unsafe {
            gemm::gemm(
                a.rows,
                b.columns,
                a.columns,
                product.as_mut_ptr(),
                1,
                stride as isize,
                add || start > 0,
                a.values.as_ptr(),
                a.strides.1 as isize,
                a.strides.0 as isize,
                b.values.as_ptr(),
                b.strides.1 as isize,
                b.strides.0 as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

/// The kernels would do otherwise where there are few rows: they get a copy, of two at least, whose columns lie in one piece.
/// So what comes of a row does not depend on those beside it.
fn multiply_few(a: Matrix, b: Matrix, product: &mut [f32], stride: usize, add: bool) {
    let rows = a.rows.max(2);
    let mut values = vec![0.0; rows * a.columns];
    for (index, column) in values.chunks_exact_mut(rows).enumerate() {
        column.iter_mut().take(a.rows).enumerate().for_each(|(row, value)| *value = a.at(row, index));
    }
    let copy = Matrix { values: &values, rows, columns: a.columns, strides: (1, rows) };
    if rows == a.rows {
        return multiply_into(copy, b, product, stride, add);
    }
    let mut two = vec![0.0; rows * b.columns];
    two[..b.columns].copy_from_slice(&product[..b.columns]);
    multiply(copy, b, &mut two, add);
    product[..b.columns].copy_from_slice(&two[..b.columns]);
}

fn multiply_column(a: Matrix, b: Matrix, product: &mut [f32], stride: usize, add: bool) {
    let depth = a.columns;
    for (row, value) in product.iter_mut().step_by(stride).take(a.rows).enumerate() {
        if !add {
            *value = 0.0;
        }
        let start = row * a.strides.0;
        *value += if a.strides.1 == 1 && b.strides.0 == 1 {
            dot(&a.values[start..start + depth], &b.values[..depth])
        } else {
            (0..depth).map(|index| a.at(row, index) * b.at(index, 0)).sum()
        };
    }
}

/// The strands of a sum, which the processor adds at once. They are always as many.
const STRANDS: usize = 16;

/// The sum of the products of two rows of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut strands = [0.0; STRANDS];
    let (ones, others) = (a.chunks_exact(STRANDS), b.chunks_exact(STRANDS));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in ones.zip(others) {
        strands.iter_mut().zip(a).zip(b).for_each(|((strand, a), b)| *strand += a * b);
    }
    strands.iter().sum::<f32>() + rest
}

/// The sum of some values.
pub fn sum(values: &[f32]) -> f32 {
    sum_of(values, |value| value)
}

/// The sum of what `term` makes of each value.
#[inline]
pub fn sum_of(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut strands = [0.0; STRANDS];
    let chunks = values.chunks_exact(STRANDS);
    let rest: f32 = chunks.remainder().iter().map(|value| term(*value)).sum();
    for chunk in chunks {
        strands.iter_mut().zip(chunk).for_each(|(strand, value)| *strand += term(*value));
    }
    strands.iter().sum::<f32>() + rest
}

/// The sum of rows as long as `sums`, added to what is there.
pub fn add_rows(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len().max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH, Matrix, multiply, multiply_into};
    use crate::seed::Seed;

    /// What the kernels are to compute, on whatever processor: chains of multiply-adds no longer than `DEPTH`.
    fn chains(a: Matrix, b: Matrix, row: usize, column: usize, before: Option<f32>) -> f32 {
        let mut sum = before;
        for start in (0..a.columns).step_by(DEPTH) {
            let depth = start..a.columns.min(start + DEPTH);
            let chain = depth.fold(0.0_f32, |chain, index| a.at(row, index).mul_add(b.at(index, column), chain));
            sum = Some(sum.map_or(chain, |sum| sum + chain));
        }
        sum.unwrap_or_default()
    }

    #[test]
    fn products_are_the_same_bits_on_every_processor() {
        let mut generator = Seed::new(1).generator();
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| generator.normal() as f32).collect() };
        for (rows, depth, columns) in
            [(1, 30, 40), (2, 3, 5), (17, 40, 33), (7, 1300, 300), (100, 513, 10), (66, 600, 80), (20, 700, 20)]
        {
            let (a, b, before) = (numbers(rows * depth), numbers(depth * columns), numbers(rows * (columns + 3)));
            let ones = [Matrix::new(&a, rows, depth), Matrix::new(&a, depth, rows).transpose()];
            let others = [Matrix::new(&b, depth, columns), Matrix::new(&b, columns, depth).transpose()];
            for (kind, add) in (0..4).flat_map(|kind| [(kind, false), (kind, true)]) {
                let (one, other) = (ones[kind / 2], others[kind % 2]);
                let mut product = before.clone();
                multiply_into(one, other, &mut product, columns + 3, add);
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let place = row * (columns + 3) + column;
                    let wanted = chains(one, other, row, column, add.then_some(before[place]));
                    assert!(product[place] == wanted, "{rows} {depth} {columns}, {kind}, {add}");
                }
                assert_eq!(product[columns..columns + 3], before[columns..columns + 3], "between rows nothing changes");
            }
        }
    }

    /// What comes of a row is the same bits whatever rows stand beside it.
    #[test]
    fn rows_do_not_depend_on_others() {
        const ROWS: usize = 70;
        let mut generator = Seed::new(2).generator();
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| generator.normal() as f32).collect() };
        for (depth, columns) in [1, 2, 3, 16, 40, 512, 514, 1300]
            .into_iter()
            .flat_map(|depth| [1, 2, 3, 20, 65, 130].map(|columns| (depth, columns)))
        {
            let (a, b) = (numbers(ROWS * depth), numbers(depth * columns));
            let before = numbers(ROWS * columns);
            let others = [Matrix::new(&b, depth, columns), Matrix::new(&b, columns, depth).transpose()];
            for (other, add) in others.into_iter().flat_map(|other| [(other, false), (other, true)]) {
                let mut all = before.clone();
                multiply(Matrix::new(&a, ROWS, depth), other, &mut all, add);
                for (first, rows) in [(0, 1), (69, 1), (3, 2), (10, 3), (1, 12), (5, 13), (6, 64)] {
                    let range = first * columns..(first + rows) * columns;
                    let mut some = before[range.clone()].to_vec();
                    multiply(Matrix::new(&a[first * depth..], rows, depth), other, &mut some, add);
                    assert!(some == all[range], "{rows} of {ROWS} rows, {depth} {columns} {add}");
                }
            }
        }
    }

    #[test]
    fn single_rows_and_columns_are_products_too() {
        let a: Vec<f32> = (0..40).map(|value| value as f32).collect();
        let row = Matrix::new(&a, 1, 40);
        let mut product = [1.0];
        multiply_into(row, row.transpose(), &mut product, 1, true);
        assert_eq!(product, [20541.0]);
        let mut product = [0.0; 1600];
        multiply_into(row.transpose(), row, &mut product, 40, false);
        assert_eq!(product[3 * 40 + 7], 21.0);
    }
}
