//! Convolution and pooling: the parts that candle has no quick gradient for, as operations of our own.

use crate::layers::Window;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Tensor};
use std::borrow::Cow;

/// The sizes of a batch of images and of the grid of window positions over them.
#[derive(Clone, Copy)]
struct Grid {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    window: Window,
}

impl Grid {
    fn of(shape: &Shape, window: Window) -> Result<Self> {
        let (batch, channels, height, width) = shape.dims4()?;
        match (window.positions(height), window.positions(width)) {
            (Some(rows), Some(columns)) => Ok(Self { batch, channels, height, width, rows, columns, window }),
            _ => Err(Error::Msg(format!("a window of {} does not fit an image of {height}×{width}", window.size))),
        }
    }

    /// The first and the last but one of the window positions `at` for which `at * stride + offset - padding` lies
    /// inside an image's side of `length`.
    fn inside(&self, offset: usize, positions: usize, length: usize) -> std::ops::Range<usize> {
        let Window { stride, padding, .. } = self.window;
        let first = padding.saturating_sub(offset).div_ceil(stride);
        let last = (length + padding).saturating_sub(offset).div_ceil(stride).min(positions);
        first.min(last)..last
    }

    /// Calls `copy` with each run of pixels of an image that lie in one row and at one place of the window: where it
    /// starts among the columns and in the image, and its length. Pixels outside of the image are left out.
    fn each_run(&self, mut copy: impl FnMut(usize, usize, usize)) {
        let Self { channels, height, width, rows, columns, window, .. } = *self;
        let Window { size, stride, padding } = window;
        for channel in 0..channels {
            for y in 0..size {
                let inside_rows = self.inside(y, rows, height);
                for x in 0..size {
                    let line = (channel * size + y) * size + x;
                    let inside = self.inside(x, columns, width);
                    for row in inside_rows.clone() {
                        let column = (line * rows + row) * columns + inside.start;
                        let line = channel * height + row * stride + y - padding;
                        copy(column, line * width + inside.start * stride + x - padding, inside.len());
                    }
                }
            }
        }
    }
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the tensor is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// A matrix in row order, or one that is to be read as its transpose.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix holds all its rows");
        Self { values, rows, columns, transposed: false }
    }

    const fn transpose(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// The strides between columns and between rows.
    const fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.rows as isize, 1) } else { (1, self.columns as isize) }
    }
}

/// Writes `a b` into `product`, or adds it to what is there. One thread does it, so the bits are always the same.
fn multiply(a: Matrix, b: Matrix, product: &mut [f32], add: bool) {
    assert_eq!(a.columns, b.rows, "the matrices fit");
    assert_eq!(product.len(), a.rows * b.columns, "the product has room");
    let ((a_columns, a_rows), (b_columns, b_rows)) = (a.strides(), b.strides());
    // SAFETY: the strides stay inside the slices, whose lengths the assertions hold to the sizes.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            product.as_mut_ptr(),
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a_columns,
            a_rows,
            b.values.as_ptr(),
            b_columns,
            b_rows,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

impl Grid {
    /// The pixels of an image, and of what a window of it covers at all positions.
    const fn areas(&self) -> (usize, usize, usize) {
        let size = self.window.size * self.window.size;
        (self.channels * self.height * self.width, self.channels * size, self.rows * self.columns)
    }

    /// Writes what lies under the window at each position as a column: `[channels · size², rows · columns]`. Places
    /// outside of the image are left as they are.
    fn unfold(&self, image: &[f32], columns: &mut [f32]) {
        let stride = self.window.stride;
        self.each_run(|column, pixel, length| {
            if stride == 1 {
                columns[column..column + length].copy_from_slice(&image[pixel..pixel + length]);
            } else {
                let pixels = image[pixel..].iter().step_by(stride);
                columns[column..column + length].iter_mut().zip(pixels).for_each(|(column, pixel)| *column = *pixel);
            }
        });
    }

    /// The reverse: adds each column to where it came from.
    fn fold(&self, columns: &[f32], image: &mut [f32]) {
        let stride = self.window.stride;
        self.each_run(|column, pixel, length| {
            let pixels = image[pixel..].iter_mut().step_by(stride);
            pixels.zip(&columns[column..column + length]).for_each(|(pixel, column)| *pixel += column);
        });
    }
}

/// Convolves images `[batch, inputs, h, w]` with filters `[outputs, inputs · size²]`, and adds `bias` `[outputs]`. One
/// image after another, so that what lies under the windows stays in the cache.
struct Convolve {
    window: Window,
    /// Whether somebody needs the gradient of the images.
    inner: bool,
    /// Whether the bias is learned.
    bias: bool,
}

impl CustomOp3 for Convolve {
    fn name(&self) -> &'static str {
        "convolve"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        filters: &CpuStorage,
        filter_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(layout.shape(), self.window)?;
        let (images, filters, bias) =
            (floats(images, layout)?, floats(filters, filter_layout)?, floats(bias, bias_layout)?);
        let ((pixels, depth, positions), outputs) = (grid.areas(), bias.len());
        let mut columns = vec![0.0; depth * positions];
        let mut maps = vec![0.0; grid.batch * outputs * positions];
        for (image, map) in images.chunks_exact(pixels).zip(maps.chunks_exact_mut(outputs * positions)) {
            grid.unfold(image, &mut columns);
            map.chunks_exact_mut(positions).zip(bias).for_each(|(map, bias)| map.fill(*bias));
            let filters = Matrix::new(filters, outputs, depth);
            multiply(filters, Matrix::new(&columns, depth, positions), map, true);
        }
        Ok((CpuStorage::F32(maps), Shape::from((grid.batch, outputs, grid.rows, grid.columns))))
    }

    fn bwd(
        &self,
        images: &Tensor,
        filters: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let of_images = match self.inner {
            true => Some(filters.apply_op2_no_bwd(&grad, &ImageGradient(self.window, images.shape().clone()))?),
            false => None,
        };
        let of_filters = images.apply_op2_no_bwd(&grad, &FilterGradient(self.window))?;
        let of_bias = if self.bias { Some(grad.apply_op1_no_bwd(&BiasGradient)?) } else { None };
        Ok((of_images, Some(of_filters), of_bias))
    }
}

/// The gradient of [`Convolve`] by its images: each position's gradient, through the filters, back to the pixels.
struct ImageGradient(Window, Shape);

impl CustomOp2 for ImageGradient {
    fn name(&self) -> &'static str {
        "convolve-image-gradient"
    }

    fn cpu_fwd(
        &self,
        filters: &CpuStorage,
        layout: &Layout,
        grads: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(&self.1, self.0)?;
        let (filters, grads) = (floats(filters, layout)?, floats(grads, grad_layout)?);
        let ((pixels, depth, positions), outputs) = (grid.areas(), layout.dims()[0]);
        let mut columns = vec![0.0; depth * positions];
        let mut images = vec![0.0; grid.batch * pixels];
        for (image, grad) in images.chunks_exact_mut(pixels).zip(grads.chunks_exact(outputs * positions)) {
            let filters = Matrix::new(filters, outputs, depth).transpose();
            multiply(filters, Matrix::new(grad, outputs, positions), &mut columns, false);
            grid.fold(&columns, image);
        }
        Ok((CpuStorage::F32(images), self.1.clone()))
    }
}

/// The gradient of [`Convolve`] by its filters: what lay under them, weighted by each position's gradient.
struct FilterGradient(Window);

impl CustomOp2 for FilterGradient {
    fn name(&self) -> &'static str {
        "convolve-filter-gradient"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        grads: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(layout.shape(), self.0)?;
        let (images, grads) = (floats(images, layout)?, floats(grads, grad_layout)?);
        let ((pixels, depth, positions), outputs) = (grid.areas(), grad_layout.dims()[1]);
        let mut columns = vec![0.0; depth * positions];
        let mut filters = vec![0.0; outputs * depth];
        for (image, grad) in images.chunks_exact(pixels).zip(grads.chunks_exact(outputs * positions)) {
            grid.unfold(image, &mut columns);
            let columns = Matrix::new(&columns, depth, positions).transpose();
            multiply(Matrix::new(grad, outputs, positions), columns, &mut filters, true);
        }
        Ok((CpuStorage::F32(filters), Shape::from((outputs, depth))))
    }
}

/// The gradient of [`Convolve`] by its bias: the sum over all positions of all images.
struct BiasGradient;

impl CustomOp1 for BiasGradient {
    fn name(&self) -> &'static str {
        "convolve-bias-gradient"
    }

    fn cpu_fwd(&self, grads: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, outputs, rows, columns) = layout.shape().dims4()?;
        let mut bias = vec![0.0; outputs];
        for (index, map) in floats(grads, layout)?.chunks_exact(rows * columns).enumerate() {
            bias[index % outputs] += sum(map);
        }
        Ok((CpuStorage::F32(bias), Shape::from(outputs)))
    }
}

/// A sum in eight strands, which the processor adds at once; the strands are always the same.
fn sum(values: &[f32]) -> f32 {
    let mut strands = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        strands.iter_mut().zip(chunk).for_each(|(strand, value)| *strand += value);
    }
    strands.iter().sum::<f32>() + rest
}

/// Convolves images `[batch, inputs, h, w]` with filters `[outputs, inputs · size²]`, and adds `bias` `[outputs]`. Only
/// `inner` ones, which have layers before them, need the gradient of their images.
pub fn conv2d(images: &Tensor, filters: &Tensor, bias: Option<&Tensor>, window: Window, inner: bool) -> Result<Tensor> {
    let convolve = Convolve { window, inner, bias: bias.is_some() };
    let images = images.contiguous()?;
    match bias {
        Some(bias) => images.apply_op3(filters, bias, convolve),
        None => {
            let zeros = Tensor::zeros(filters.dim(0)?, filters.dtype(), filters.device())?;
            images.apply_op3(filters, &zeros, convolve)
        }
    }
}

/// How a square is made one value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest; of equal ones the first.
    Max,
    /// The mean.
    Mean,
}

impl Grid {
    /// The images with their padding as pixels, which are never the largest.
    fn padded<'v>(&self, values: &'v [f32]) -> (Self, Cow<'v, [f32]>) {
        let padding = self.window.padding;
        if padding == 0 {
            return (*self, Cow::Borrowed(values));
        }
        let (height, width) = (self.height + 2 * padding, self.width + 2 * padding);
        let mut padded = vec![f32::NEG_INFINITY; self.batch * self.channels * height * width];
        for (line, values) in values.chunks_exact(self.width).enumerate() {
            let (plane, row) = (line / self.height, line % self.height);
            let start = (plane * height + row + padding) * width + padding;
            padded[start..start + self.width].copy_from_slice(values);
        }
        (Self { height, width, window: Window { padding: 0, ..self.window }, ..*self }, Cow::Owned(padded))
    }

    /// The reverse: the pixels of the images without those of their padding.
    fn cropped(&self, padded: Vec<f32>) -> Vec<f32> {
        let padding = self.window.padding;
        if padding == 0 {
            return padded;
        }
        let width = self.width + 2 * padding;
        let planes = padded.chunks_exact((self.height + 2 * padding) * width);
        let rows = planes.flat_map(|plane| plane.chunks_exact(width).skip(padding).take(self.height));
        rows.flat_map(|row| &row[padding..padding + self.width]).copied().collect()
    }
}

struct Pool(Pooling, Window);

impl Pool {
    /// The places of a square's pixels, in row order, from its first.
    fn offsets(&self, grid: &Grid) -> Vec<usize> {
        let size = self.1.size;
        (0..size * size).map(|index| index / size * grid.width + index % size).collect()
    }

    /// Calls `visit` for each square with the place of its value and the place of its first pixel.
    fn each(&self, grid: &Grid, mut visit: impl FnMut(usize, usize)) {
        let stride = self.1.stride;
        for plane in 0..grid.batch * grid.channels {
            for row in 0..grid.rows {
                let corner = (plane * grid.height + row * stride) * grid.width;
                let place = (plane * grid.rows + row) * grid.columns;
                for column in 0..grid.columns {
                    visit(place + column, corner + column * stride);
                }
            }
        }
    }

    /// The place and the value of a square's largest pixel. Which one it is can't be foreseen, so nothing branches on it.
    fn largest(values: &[f32], corner: usize, offsets: &[usize]) -> (usize, f32) {
        offsets.iter().fold((corner, values[corner]), |(best, most), offset| {
            let value = values[corner + offset];
            let larger = value > most;
            (if larger { corner + offset } else { best }, if larger { value } else { most })
        })
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(layout.shape(), self.1)?;
        let shape = Shape::from((grid.batch, grid.channels, grid.rows, grid.columns));
        let (grid, values) = grid.padded(floats(storage, layout)?);
        let mut pooled = vec![0.0; shape.elem_count()];
        let share = 1.0 / (self.1.size * self.1.size) as f32;
        let offsets = self.offsets(&grid);
        self.each(&grid, |place, corner| {
            pooled[place] = match self.0 {
                Pooling::Max => Self::largest(&values, corner, &offsets).1,
                Pooling::Mean => offsets.iter().map(|offset| values[corner + offset]).sum::<f32>() * share,
            };
        });
        Ok((CpuStorage::F32(pooled), shape))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let spread = Spread(Self(self.0, self.1));
        Ok(Some(arg.apply_op2_no_bwd(&grad.contiguous()?, &spread)?))
    }
}

/// The gradient of [`Pool`]: each value's goes to the pixels that it came from.
struct Spread(Pool);

impl CustomOp2 for Spread {
    fn name(&self) -> &'static str {
        "pool-gradient"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        grads: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inner = Grid::of(layout.shape(), self.0.1)?;
        let (grid, values) = inner.padded(floats(images, layout)?);
        let grads = floats(grads, grad_layout)?;
        let mut spread = vec![0.0; values.len()];
        let share = 1.0 / (self.0.1.size * self.0.1.size) as f32;
        let offsets = self.0.offsets(&grid);
        self.0.each(&grid, |place, corner| match self.0.0 {
            Pooling::Max => spread[Pool::largest(&values, corner, &offsets).0] += grads[place],
            Pooling::Mean => offsets.iter().for_each(|offset| spread[corner + offset] += grads[place] * share),
        });
        Ok((CpuStorage::F32(inner.cropped(spread)), layout.shape().clone()))
    }
}

/// Makes each square of the images one value.
pub fn pool(images: &Tensor, pooling: Pooling, window: Window) -> Result<Tensor> {
    images.contiguous()?.apply_op1(Pool(pooling, window))
}
