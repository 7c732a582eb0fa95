//! Systems of linear equations with a positive definite matrix.

/// The lower triangle *L* with *L Lᵀ* = *A*, row by row.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

/// What a pivot is at least: rounding may take it below zero where points almost coincide.
const LEAST_PIVOT: f64 = 1e-12;

impl Cholesky {
    /// Takes a symmetric matrix apart, given row by row.
    pub(super) fn new(size: usize, matrix: Vec<f64>) -> Self {
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
    pub(super) fn halfway(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for index in 0..self.size {
            let (known, own) = x.split_at_mut(index);
            let row = self.row(index);
            own[0] = (own[0] - dot(known, &row[..index])) / row[index];
        }
        x
    }

    /// *A*⁻¹ *b*.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.halfway(b);
        for index in (0..self.size).rev() {
            let (open, own) = x.split_at_mut(index);
            let row = self.row(index);
            own[0] /= row[index];
            open.iter_mut().zip(row).for_each(|(x, l)| *x -= l * own[0]);
        }
        x
    }

    /// *A*⁻¹, row by row.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let mut unit = vec![0.0; self.size];
        let mut inverse = Vec::with_capacity(self.size * self.size);
        for index in 0..self.size {
            unit[index] = 1.0;
            inverse.extend(self.solve(&unit));
            unit[index] = 0.0;
        }
        inverse
    }

    /// The logarithm of the determinant of *A*.
    pub(super) fn log_determinant(&self) -> f64 {
        (0..self.size).map(|index| 2.0 * self.row(index)[index].ln()).sum()
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
