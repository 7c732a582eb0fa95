//! Self-attention.

use super::network::{dense, softmax};
use candle_core::{Result, Tensor};

/// Multi-head self-attention over rows `[batch, length, features]` (Vaswani et al., 2017, section 3.2). The projections are
/// those of queries, keys, values and outputs, each with its constant.
pub fn attention(rows: &Tensor, projections: [(&Tensor, &Tensor); 4], heads: usize) -> Result<Tensor> {
    let (batch, length, features) = rows.dims3()?;
    let width = features / heads;
    let [queries, keys, values, outputs] = projections;
    // The heads lie beside one another in a row; each is a matrix of its own in the products.
    let apart = |(weight, bias): (&Tensor, &Tensor)| {
        let rows = dense(rows, weight, Some(bias))?.reshape((batch, length, heads, width))?;
        rows.transpose(1, 2)?.contiguous()
    };
    let (queries, keys, values) = (apart(queries)?, apart(keys)?, apart(values)?);
    let scores = (queries.matmul(&keys.transpose(2, 3)?.contiguous()?)? * (1.0 / (width as f64).sqrt()))?;
    let mixed = softmax(&scores)?.matmul(&values)?;
    let together = mixed.transpose(1, 2)?.reshape((batch, length, features))?;
    dense(&together, outputs.0, Some(outputs.1))
}
