//! Pooling: squares of an image become one value.

use super::{
    image::Grid,
    operation::{Operation, apply},
};
use crate::layers::Window;
use candle_core::{Result, Shape, Tensor};
use std::borrow::Cow;

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

impl Operation for Pool {
    const NAME: &'static str = "pool";

    fn forward(&self, images: &[f32], shape: &Shape) -> Result<(Vec<f32>, Shape)> {
        let grid = Grid::of(shape, self.1)?;
        let shape = Shape::from((grid.batch, grid.channels, grid.rows, grid.columns));
        let (grid, values) = grid.padded(images);
        let mut pooled = vec![0.0; shape.elem_count()];
        let share = 1.0 / (self.1.size * self.1.size) as f32;
        let offsets = self.offsets(&grid);
        self.each(&grid, |place, corner| {
            pooled[place] = match self.0 {
                Pooling::Max => Self::largest(&values, corner, &offsets).1,
                Pooling::Mean => offsets.iter().map(|offset| values[corner + offset]).sum::<f32>() * share,
            };
        });
        Ok((pooled, shape))
    }

    /// Each value's gradient goes to the pixels that it came from.
    fn backward(&self, images: &[f32], shape: &Shape, _: &[f32], gradient: &[f32]) -> Result<Option<Vec<f32>>> {
        let inner = Grid::of(shape, self.1)?;
        let (grid, values) = inner.padded(images);
        let mut spread = vec![0.0; values.len()];
        let share = 1.0 / (self.1.size * self.1.size) as f32;
        let offsets = self.offsets(&grid);
        self.each(&grid, |place, corner| match self.0 {
            Pooling::Max => spread[Self::largest(&values, corner, &offsets).0] += gradient[place],
            Pooling::Mean => offsets.iter().for_each(|offset| spread[corner + offset] += gradient[place] * share),
        });
        Ok(Some(inner.cropped(spread)))
    }
}

/// Makes each square of the images one value.
///
/// # Errors
/// When the window does not fit.
pub fn pool(images: &Tensor, pooling: Pooling, window: Window) -> Result<Tensor> {
    apply(images, Pool(pooling, window))
}
