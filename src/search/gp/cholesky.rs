//! Systems of linear equations with a positive definite matrix.

/// The lower triangle *L* with *L Lᵀ* = *A*, row by row.
#[derive(Clone, Debug)]
pub struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

/// What a pivot is at least: rounding may take it below zero where points almost coincide.
const LEAST_PIVOT: f64 = 1e-12;

impl Cholesky {
    /// Takes a symmetric matrix apart, given row by row.
    pub fn new(size: usize, matrix: Vec<f64>) -> Self {
        let mut lower = matrix;
        for row in 0..size {
            for column in 0..=row {
                let (above, own) = lower.split_at_mut(row * size);
                let (left, right) = own.split_at_mut(column);
                let known = if column == row { &*left } else { &above[column * size..][..column] };
                let rest = right[0] - dot(left, known);
                right[0] = match column == row {
                    true => rest.max(LEAST_PIVOT).sqrt(),
                    false => rest / above[column * size + column],
                };
            }
        }
        Self { size, lower }
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.lower[row * self.size..][..=row]
    }

    /// *L*⁻¹ *b*.
    pub fn halfway(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for index in 0..self.size {
            let (known, own) = x.split_at_mut(index);
            let row = self.row(index);
            own[0] = (own[0] - dot(known, &row[..index])) / row[index];
        }
        x
    }

    /// *A*⁻¹ *b*.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.halfway(b);
        for index in (0..self.size).rev() {
            let (open, own) = x.split_at_mut(index);
            let row = self.row(index);
            own[0] /= row[index];
            open.iter_mut().zip(row).for_each(|(x, l)| *x -= l * own[0]);
        }
        x
    }

    /// The columns of *L*⁻¹, each from its diagonal down; those of *A*⁻¹ are products of them.
    fn inverse_columns(&self) -> Vec<Vec<f64>> {
        let column = |first: usize| {
            let mut x = vec![1.0 / self.row(first)[first]];
            for index in first + 1..self.size {
                let row = self.row(index);
                x.push(-dot(&row[first..index], &x) / row[index]);
            }
            x
        };
        (0..self.size).map(column).collect()
    }

    /// The lower triangle of *A*⁻¹, row by row.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let columns = self.inverse_columns();
        let rows = columns.iter().enumerate();
        rows.flat_map(|(row, a)| columns[..=row].iter().enumerate().map(move |(column, b)| dot(a, &b[row - column..])))
            .collect()
    }

    /// The logarithm of the determinant of *A*.
    pub(super) fn log_determinant(&self) -> f64 {
        (0..self.size).map(|index| 2.0 * self.row(index)[index].ln()).sum()
    }
}

/// The sum of products, in four parts that a processor sums side by side.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, b) = (a[..length].chunks_exact(4), b[..length].chunks_exact(4));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 4];
    for (a, b) in a.zip(b) {
        (0..4).for_each(|lane| sums[lane] += a[lane] * b[lane]);
    }
    rest + sums.iter().sum::<f64>()
}
