//! Convolution and pooling: the parts that candle has no quick gradient for, as operations of our own.

use crate::layers::Window;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};

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

    /// Calls `copy` with each run of pixels that lie in one image row and at one place of the window: where it starts
    /// among the columns and in the image, and its length. Pixels outside of the image are left out.
    fn each_run(&self, mut copy: impl FnMut(usize, usize, usize)) {
        let Self { batch, channels, height, width, rows, columns, window } = *self;
        let Window { size, stride, padding } = window;
        for image in 0..batch {
            for channel in 0..channels {
                let plane = (image * channels + channel) * height * width;
                for y in 0..size {
                    let inside_rows = self.inside(y, rows, height);
                    for x in 0..size {
                        let line = ((image * channels + channel) * size + y) * size + x;
                        let inside = self.inside(x, columns, width);
                        for row in inside_rows.clone() {
                            let column = (line * rows + row) * columns + inside.start;
                            let pixel =
                                plane + (row * stride + y - padding) * width + inside.start * stride + x - padding;
                            copy(column, pixel, inside.len());
                        }
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

/// What lies under the window at each position, as columns: `[batch, channels, h, w]` to
/// `[batch, channels * size * size, rows * columns]`.
struct Unfold(Window);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(layout.shape(), self.0)?;
        let pixels = floats(storage, layout)?;
        let shape = Shape::from((grid.batch, grid.channels * self.0.size * self.0.size, grid.rows * grid.columns));
        let mut columns = vec![0.0; shape.elem_count()];
        let stride = self.0.stride;
        grid.each_run(|column, pixel, length| {
            if stride == 1 {
                columns[column..column + length].copy_from_slice(&pixels[pixel..pixel + length]);
            } else {
                for index in 0..length {
                    columns[column + index] = pixels[pixel + index * stride];
                }
            }
        });
        Ok((CpuStorage::F32(columns), shape))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&Fold { window: self.0, shape: arg.shape().clone() })?))
    }
}

/// The reverse of [`Unfold`]: adds each column back to where it came from.
struct Fold {
    window: Window,
    shape: Shape,
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(&self.shape, self.window)?;
        let columns = floats(storage, layout)?;
        let mut pixels = vec![0.0; self.shape.elem_count()];
        let stride = self.window.stride;
        grid.each_run(|column, pixel, length| {
            for index in 0..length {
                pixels[pixel + index * stride] += columns[column + index];
            }
        });
        Ok((CpuStorage::F32(pixels), self.shape.clone()))
    }
}

/// Convolves images `[batch, inputs, h, w]` with filters `[outputs, inputs * size * size]`, and adds `bias` `[outputs]`.
pub fn conv2d(images: &Tensor, filters: &Tensor, bias: &Tensor, window: Window) -> Result<Tensor> {
    let grid = Grid::of(images.shape(), window)?;
    let columns = images.contiguous()?.apply_op1(Unfold(window))?;
    let (outputs, inputs) = filters.dims2()?;
    let filters = filters.unsqueeze(0)?.broadcast_as((grid.batch, outputs, inputs))?;
    let maps = filters.matmul(&columns)?.broadcast_add(&bias.reshape((1, outputs, 1))?)?;
    maps.reshape((grid.batch, outputs, grid.rows, grid.columns))
}

/// How a square is made one value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest; of equal ones the first.
    Max,
    /// The mean.
    Mean,
}

struct Pool(Pooling, Window);

impl Pool {
    /// Calls `visit` for each square with the place of its value and the places of its pixels in row order.
    fn each(&self, grid: &Grid, mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        let Window { size, stride, .. } = self.1;
        for plane in 0..grid.batch * grid.channels {
            for row in 0..grid.rows {
                for column in 0..grid.columns {
                    let corner = (plane * grid.height + row * stride) * grid.width + column * stride;
                    let mut pixels = (0..size)
                        .flat_map(|y| (0..size).map(move |x| (y, x)))
                        .map(|(y, x)| corner + y * grid.width + x);
                    visit((plane * grid.rows + row) * grid.columns + column, &mut pixels);
                }
            }
        }
    }

    fn largest(values: &[f32], pixels: &mut dyn Iterator<Item = usize>) -> usize {
        let first = pixels.next().unwrap_or(0);
        pixels.fold(first, |best, pixel| if values[pixel] > values[best] { pixel } else { best })
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(layout.shape(), self.1)?;
        let values = floats(storage, layout)?;
        let shape = Shape::from((grid.batch, grid.channels, grid.rows, grid.columns));
        let mut pooled = vec![0.0; shape.elem_count()];
        let share = 1.0 / (self.1.size * self.1.size) as f32;
        self.each(&grid, |place, pixels| {
            pooled[place] = match self.0 {
                Pooling::Max => values[Self::largest(values, pixels)],
                Pooling::Mean => pixels.map(|pixel| values[pixel]).sum::<f32>() * share,
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
        let grid = Grid::of(layout.shape(), self.0.1)?;
        let (values, grads) = (floats(images, layout)?, floats(grads, grad_layout)?);
        let mut spread = vec![0.0; values.len()];
        let share = 1.0 / (self.0.1.size * self.0.1.size) as f32;
        self.0.each(&grid, |place, pixels| match self.0.0 {
            Pooling::Max => spread[Pool::largest(values, pixels)] += grads[place],
            Pooling::Mean => pixels.for_each(|pixel| spread[pixel] += grads[place] * share),
        });
        Ok((CpuStorage::F32(spread), layout.shape().clone()))
    }
}

/// Makes each square of the images one value.
pub fn pool(images: &Tensor, pooling: Pooling, window: Window) -> Result<Tensor> {
    images.contiguous()?.apply_op1(Pool(pooling, window))
}
