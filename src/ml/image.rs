//! Convolution, as products with what lies under a window.

use super::{
    operation::{Learned, Operation},
    product::{Matrix, multiply, sum},
};
use crate::layers::Window;
use candle_core::{Error, Result, Shape};

/// The sizes of a batch of images and of the grid of window positions over them.
#[derive(Clone, Copy)]
pub struct Grid {
    /// The images.
    pub batch: usize,
    /// The planes of each.
    pub channels: usize,
    /// The rows of a plane.
    pub height: usize,
    /// The pixels of a row.
    pub width: usize,
    /// The positions of the window below one another.
    pub rows: usize,
    /// The positions beside one another.
    pub columns: usize,
    /// What moves.
    pub window: Window,
}

impl Grid {
    /// The grid of a window over images `[batch, channels, h, w]`.
    pub fn of(shape: &Shape, window: Window) -> Result<Self> {
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
pub struct Convolve {
    /// How the filters lie on the images.
    pub window: Window,
    /// `[outputs, inputs · size²]`
    pub filters: Learned,
    /// `[outputs]`
    pub bias: Option<Learned>,
    /// The channels that come out.
    pub outputs: usize,
    /// Whether somebody needs the gradient of the images.
    pub inner: bool,
}

impl Operation for Convolve {
    const NAME: &'static str = "convolve";

    fn forward(&self, images: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let grid = Grid::of(shape, self.window)?;
        let ((pixels, depth, positions), outputs) = (grid.areas(), self.outputs);
        let filters = Matrix::new(self.filters.values(), outputs, depth);
        let mut columns = vec![0.0; depth * positions];
        let mut maps = vec![0.0; grid.batch * outputs * positions];
        for (image, maps) in images.chunks_exact(pixels).zip(maps.chunks_exact_mut(outputs * positions)) {
            grid.unfold(image, &mut columns);
            if let Some(bias) = &self.bias {
                maps.chunks_exact_mut(positions).zip(bias.values()).for_each(|(map, bias)| map.fill(*bias));
            }
            multiply(filters, Matrix::new(&columns, depth, positions), maps, self.bias.is_some());
        }
        Ok((maps, Shape::from((grid.batch, outputs, grid.rows, grid.columns))))
    }

    fn backward(&self, images: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let grid = Grid::of(shape, self.window)?;
        let ((pixels, depth, positions), outputs) = (grid.areas(), self.outputs);
        let area = outputs * positions;
        let mut columns = vec![0.0; depth * positions];
        self.filters.sum(|samples, filters| {
            let images = images[samples.start * pixels..samples.end * pixels].chunks_exact(pixels);
            for (image, maps) in images.zip(gradient[samples.start * area..].chunks_exact(area)) {
                grid.unfold(image, &mut columns);
                let columns = Matrix::new(&columns, depth, positions).transpose();
                multiply(Matrix::new(maps, outputs, positions), columns, filters, true);
            }
        });
        if let Some(bias) = &self.bias {
            bias.sum(|samples, sums| {
                let maps = gradient[samples.start * area..samples.end * area].chunks_exact(positions);
                maps.enumerate().for_each(|(index, map)| sums[index % outputs] += sum(map));
            });
        }
        if !self.inner {
            return Ok(None);
        }
        let filters = Matrix::new(self.filters.values(), outputs, depth).transpose();
        let mut back = vec![0.0; images.len()];
        for (image, maps) in back.chunks_exact_mut(pixels).zip(gradient.chunks_exact(area)) {
            multiply(filters, Matrix::new(maps, outputs, positions), &mut columns, false);
            grid.fold(&columns, image);
        }
        Ok(Some(back))
    }
}
