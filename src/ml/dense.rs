//! Dense layers, positions and embeddings: what multiplies, adds or looks up rows.

use super::{
    operation::{Learned, Operation, apply},
    product::{Matrix, add_rows, multiply},
};
use candle_core::{Error, Result, Shape, Tensor};

/// `x W + b` over the last dimension.
pub struct Dense {
    /// `[inputs, outputs]`
    pub weight: Learned,
    /// `[outputs]`
    pub bias: Option<Learned>,
    /// The numbers that come out.
    pub outputs: usize,
    /// Whether somebody needs the gradient of what goes in.
    pub inner: bool,
}

impl Dense {
    /// What comes out when rows go in.
    pub fn rows(&self, x: &[f32]) -> Vec<f32> {
        let inputs = self.weight.values().len() / self.outputs;
        let rows = x.len() / inputs;
        let mut y = match &self.bias {
            Some(bias) => bias.values().repeat(rows),
            None => vec![0.0; rows * self.outputs],
        };
        let weight = Matrix::new(self.weight.values(), inputs, self.outputs);
        multiply(Matrix::new(x, rows, inputs), weight, &mut y, self.bias.is_some());
        y
    }

    /// Writes the gradients of weight and bias, by rows `x` that went in and the gradient of those that came out.
    pub fn learn(&self, x: &[f32], gradient: &[f32]) {
        self.weight.sum_outer(x, gradient, self.outputs);
        if let Some(bias) = &self.bias {
            bias.sum_rows(gradient);
        }
    }

    /// Writes the gradient of what went in, or adds it to what is there.
    pub fn back(&self, gradient: &[f32], x: &mut [f32], add: bool) {
        let rows = gradient.len() / self.outputs;
        let weight = Matrix::new(self.weight.values(), x.len() / rows, self.outputs).transpose();
        multiply(Matrix::new(gradient, rows, self.outputs), weight, x, add);
    }
}

impl Operation for Dense {
    const NAME: &'static str = "dense";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let mut dims = shape.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last * self.outputs == self.weight.values().len() => *last = self.outputs,
            _ => return Err(Error::Msg(format!("a dense layer of other sizes does not take {dims:?}"))),
        }
        Ok((self.rows(x), Shape::from(dims)))
    }

    fn backward(&self, x: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        self.learn(x, gradient);
        if !self.inner {
            return Ok(None);
        }
        let mut back = vec![0.0; x.len()];
        self.back(gradient, &mut back, false);
        Ok(Some(back))
    }
}

/// Adds a row that is learned to each sample.
struct Positions(Learned);

impl Operation for Positions {
    const NAME: &'static str = "positions";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let mut y = x.to_vec();
        for sample in y.chunks_exact_mut(self.0.values().len()) {
            sample.iter_mut().zip(self.0.values()).for_each(|(y, value)| *y += value);
        }
        Ok((y, shape.clone()))
    }

    fn backward(&self, _: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        self.0.sum_rows(gradient);
        Ok(Some(gradient.to_vec()))
    }
}

/// Adds a learned row for each place to sequences.
///
/// # Errors
/// When candle refuses.
pub fn positions(x: &Tensor, row: Learned) -> Result<Tensor> {
    apply(x, Positions(row))
}

/// Looks up the rows that tokens name.
struct Embedding {
    rows: Learned,
    features: usize,
}

impl Embedding {
    /// The place of a token's row.
    fn place(&self, token: f32) -> std::ops::Range<usize> {
        let start = token as usize * self.features;
        start..start + self.features
    }
}

impl Operation for Embedding {
    const NAME: &'static str = "embedding";

    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let mut y = Vec::with_capacity(x.len() * self.features);
        for token in x {
            let row = self.rows.values().get(self.place(*token));
            y.extend(row.ok_or_else(|| Error::Msg(format!("the embedding holds no row {token}")))?);
        }
        Ok((y, Shape::from([shape.dims(), &[self.features]].concat())))
    }

    fn backward(&self, x: &[f32], _: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let each = x.len() / self.rows.segments().samples();
        let row = |place: &usize| &gradient[place * self.features..(place + 1) * self.features];
        let mut places: Vec<usize> = (0..x.len()).collect();
        places.sort_by_key(|place| x[*place] as usize);
        self.rows.gradient(|rows| {
            // What a shard does not name is zero in its gradient, and adds nothing.
            for places in places.chunk_by(|one, other| x[*one] == x[*other]) {
                let segments = self.rows.segments().among(places.iter().map(|place| place / each));
                let sum = segments.sum(self.features, |range, sum| {
                    places[range].iter().for_each(|place| add_rows(row(place), sum));
                });
                rows[self.place(x[places[0]])].copy_from_slice(&sum);
            }
        });
        Ok(None)
    }
}

/// The rows that tokens `[batch, length]` name.
///
/// # Errors
/// When there is no such row.
pub fn embedding(tokens: &Tensor, rows: Learned, features: usize) -> Result<Tensor> {
    apply(tokens, Embedding { rows, features })
}
