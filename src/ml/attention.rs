//! Self-attention.

use super::{
    activation::{harden, soften},
    dense::Dense,
    operation::{Operation, apply},
    product::{Matrix, multiply, multiply_into},
};
use candle_core::{Error, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Multi-head self-attention over rows `[batch, length, features]` up to the last projection (Vaswani et al., 2017, section
/// 3.2). The heads lie beside one another in a row.
struct Attend {
    /// Those of queries, keys and values.
    projections: [Dense; 3],
    heads: usize,
    met: OnceLock<Met>,
}

/// What the way back needs of the way there.
struct Met {
    /// Queries, keys and values, in rows.
    rows: [Vec<f32>; 3],
    /// For each sample and head, how much each row heeds each other.
    shares: Vec<f32>,
}

/// The sizes of a batch of sequences.
struct Sizes {
    batch: usize,
    length: usize,
    features: usize,
    width: usize,
}

impl Attend {
    fn sizes(&self, shape: &Shape) -> Result<Sizes> {
        let (batch, length, features) = shape.dims3()?;
        Ok(Sizes { batch, length, features, width: features / self.heads })
    }

    /// Queries are divided by this.
    fn scale(sizes: &Sizes) -> f32 {
        1.0 / (sizes.width as f32).sqrt()
    }
}

impl Sizes {
    /// The place of a head's first number in the rows of a sample.
    const fn start(&self, sample: usize, head: usize) -> usize {
        sample * self.length * self.features + head * self.width
    }

    /// The rows of one head.
    fn head<'r>(&self, rows: &'r [f32], start: usize) -> Matrix<'r> {
        Matrix::strided(&rows[start..], self.length, self.width, self.features)
    }
}

impl Operation for Attend {
    const NAME: &'static str = "attention";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let sizes = self.sizes(shape)?;
        let Sizes { batch, length, features, .. } = sizes;
        let mut rows = self.projections.each_ref().map(|projection| projection.rows(x));
        let scale = Self::scale(&sizes);
        rows[0].iter_mut().for_each(|query| *query *= scale);
        let mut shares = vec![0.0; batch * self.heads * length * length];
        let mut mixed = vec![0.0; x.len()];
        for (index, shares) in shares.chunks_exact_mut(length * length).enumerate() {
            let start = sizes.start(index / self.heads, index % self.heads);
            let [queries, keys, values] = rows.each_ref().map(|rows| sizes.head(rows, start));
            multiply(queries, keys.transpose(), shares, false);
            shares.chunks_exact_mut(length).for_each(|row| {
                soften(row);
            });
            multiply_into(Matrix::new(shares, length, length), values, &mut mixed[start..], features, false);
        }
        // Forward runs once.
        let _ = self.met.set(Met { rows, shares });
        Ok((mixed, shape.clone()))
    }

    fn backward(&self, x: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let sizes = self.sizes(shape)?;
        let Sizes { length, features, .. } = sizes;
        let met = self.met.get().ok_or_else(|| Error::Msg("attention has not been forward yet".into()))?;
        let mut back = [0; 3].map(|_| vec![0.0; x.len()]);
        let mut slopes = vec![0.0; length * length];
        for (index, shares) in met.shares.chunks_exact(length * length).enumerate() {
            let start = sizes.start(index / self.heads, index % self.heads);
            let [queries, keys, values] = met.rows.each_ref().map(|rows| sizes.head(rows, start));
            let mixed = sizes.head(gradient, start);
            let [of_queries, of_keys, of_values] = back.each_mut().map(|back| &mut back[start..]);
            let matrix = Matrix::new(shares, length, length);
            multiply_into(matrix.transpose(), mixed, of_values, features, false);
            multiply(mixed, values.transpose(), &mut slopes, false);
            let rows = shares.chunks_exact(length).zip(slopes.chunks_exact_mut(length));
            rows.for_each(|(shares, slopes)| harden(shares, slopes));
            let slopes = Matrix::new(&slopes, length, length);
            multiply_into(slopes, keys, of_queries, features, false);
            multiply_into(slopes.transpose(), queries, of_keys, features, false);
        }
        let scale = Self::scale(&sizes);
        back[0].iter_mut().for_each(|query| *query *= scale);
        let mut sum = vec![0.0; if self.projections[0].inner { x.len() } else { 0 }];
        for (projection, back) in self.projections.iter().zip(&back) {
            projection.learn(x, back);
            if projection.inner {
                projection.back(back, &mut sum, true);
            }
        }
        Ok(self.projections[0].inner.then_some(sum))
    }
}

/// Multi-head self-attention over rows `[batch, length, features]`. The projections are those of queries, keys, values and
/// outputs.
///
/// # Errors
/// When the rows are not as wide as the projections.
pub fn attention(rows: &Tensor, projections: [Dense; 4], heads: usize) -> Result<Tensor> {
    let [queries, keys, values, outputs] = projections;
    let attend = Attend { projections: [queries, keys, values], heads, met: OnceLock::new() };
    apply(&apply(rows, attend)?, outputs)
}
