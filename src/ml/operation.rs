//! Operations of our own on candle's tape: what a layer computes from rows of numbers, and how a gradient goes back.

use super::{
    outer::outer,
    product::{DEPTH, add_rows},
    segments::Segments,
};
use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Storage, Tensor};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// An operation on a tensor whose numbers lie in one piece.
pub trait Operation: Send + Sync + 'static {
    /// Its name, for messages.
    const NAME: &'static str;

    /// What comes out when `x` goes in.
    fn forward(&self, x: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)>;

    /// The gradient of what went in, by that of what came out, `y`; nothing where nobody needs it. The gradients of
    /// parameters go to their row.
    fn backward(&self, x: &[f32], shape: &Shape, y: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>>;
}

/// Applies an operation.
///
/// # Errors
/// When the tensor does not fit it.
pub fn apply(x: &Tensor, operation: impl Operation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Taped(operation))
}

struct Taped<O>(O);

impl<O: Operation> CustomOp1 for Taped<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (values, shape) = self.0.forward(floats(storage, layout)?, layout.shape())?;
        Ok((CpuStorage::F32(values), shape))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let back = read(x, |x_values| {
            read(y, |y| read(&gradient, |gradient| self.0.backward(x_values, x.shape(), y, gradient)))
        })?;
        match back {
            Some(back) => Ok(Some(Tensor::from_vec(back, x.shape(), &Device::Cpu)?)),
            None if x.is_variable() => Ok(None),
            // candle wants a gradient for all that lies between a leaf and the loss.
            None => Ok(Some(x.zeros_like()?)),
        }
    }
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the tensor is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Reads the numbers of a tensor that lies in one piece, without a copy.
///
/// # Errors
/// When it does not, or is of other numbers.
pub fn read<T>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(floats(storage, layout)?),
        _ => Err(Error::Msg("the tensor is not in memory".into())),
    }
}

/// All parameters of a network in a row, and the row that their gradients are written to.
#[derive(Clone)]
pub struct Rows {
    values: Arc<[f32]>,
    segments: Arc<Segments>,
    gradient: Arc<Mutex<Vec<f32>>>,
}

/// A parameter of one layer. It is used once on the way from the samples to the loss.
#[derive(Clone)]
pub struct Learned {
    rows: Rows,
    range: Range<usize>,
}

impl Rows {
    /// The parameters `values`, to judge the samples of some shards with or to learn from them.
    pub fn new(values: Arc<[f32]>, segments: Segments) -> Self {
        Self { values, segments: Arc::new(segments), gradient: Arc::default() }
    }

    /// The parameter at a place of the row.
    pub fn at(&self, range: Range<usize>) -> Learned {
        Learned { rows: self.clone(), range }
    }

    /// Lets `work` see the row of gradients, whose numbers are zero until they are written.
    pub fn gradient<T>(&self, work: impl FnOnce(&mut Vec<f32>) -> T) -> T {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        if gradient.is_empty() {
            *gradient = vec![0.0; self.values.len()];
        }
        work(&mut gradient)
    }
}

impl Learned {
    /// Its numbers.
    pub fn values(&self) -> &[f32] {
        &self.rows.values[self.range.clone()]
    }

    /// The shards of the samples that flow through.
    pub fn segments(&self) -> &Segments {
        &self.rows.segments
    }

    /// Lets `write` write its gradient over zeros.
    pub fn gradient(&self, write: impl FnOnce(&mut [f32])) {
        self.rows.gradient(|gradient| write(&mut gradient[self.range.clone()]));
    }

    /// Writes its gradient, the sum of what `take` adds to zeros for the samples of each shard.
    pub fn sum(&self, take: impl FnMut(Range<usize>, &mut [f32])) {
        self.gradient(|gradient| gradient.copy_from_slice(&self.segments().sum(gradient.len(), take)));
    }

    /// Writes its gradient, the sum of the rows of `gradient`, as many for each sample.
    pub fn sum_rows(&self, gradient: &[f32]) {
        let each = gradient.len() / self.segments().samples();
        self.sum(|samples, sums| add_rows(&gradient[samples.start * each..samples.end * each], sums));
    }

    /// Writes its gradient `[…, columns]`, the sum of the outer products of rows `x` and `gradient`, as many for each sample.
    pub fn sum_outer(&self, x: &[f32], gradient: &[f32], columns: usize) {
        let turns = self.segments().turns(gradient.len() / columns, DEPTH);
        self.gradient(|product| outer(x, gradient, &turns, product, columns));
    }
}
