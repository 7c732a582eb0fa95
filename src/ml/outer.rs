//! Sums of outer products: gradients of weights, which are written to memory once, whatever shards they are summed over.

use super::segments::Turn;
use pulp::{Arch, Simd, WithSimd, bytemuck::cast_slice_mut};

/// The lines of a tile.
const HEIGHT: usize = 6;

/// Panels of so many numbers, half a megabyte, stay in a cache while all tiles beside them are computed.
const CACHED: usize = 128 << 10;

/// Rows are put into panels so many at a time, so that neither side leaves the nearest cache between two rows.
const ROWS: usize = 16;

/// Writes the sum of the outer products of each row of `a` with the same row of `b` into `product`, by the turns of
/// `segments` over these rows. What one turn takes is one chain of multiply-adds in the order of the rows, so that the bits
/// are the same on every processor that multiplies and adds in one rounding.
pub fn outer(a: &[f32], b: &[f32], turns: &[Turn], product: &mut [f32], columns: usize) {
    Arch::new().dispatch(Outer::new(a, b, turns, product, columns));
}

struct Outer<'a> {
    a: &'a [f32],
    b: &'a [f32],
    turns: &'a [Turn],
    product: &'a mut [f32],
    /// The rows of `a` and of `b`.
    depth: usize,
    /// The columns of `b` and of the product.
    columns: usize,
}

impl<'a> Outer<'a> {
    fn new(a: &'a [f32], b: &'a [f32], turns: &'a [Turn], product: &'a mut [f32], columns: usize) -> Self {
        let depth = b.len() / columns;
        assert!(b.len() == depth * columns && a.len() * columns == product.len() * depth, "the rows fit");
        Self { a, b, turns, product, depth, columns }
    }

    /// Goes over the tiles of the product. They are `WIDTH` registers wide, but for the last ones.
    #[inline(always)]
    fn tiles<S: Simd, const WIDTH: usize>(self, simd: S) {
        let Self { a, b, turns, product, depth, columns } = self;
        if depth == 0 {
            return product.fill(0.0);
        }
        let width = WIDTH * S::F32_LANES;
        let mut lefts = vec![[0.0; HEIGHT]; (a.len() / depth).div_ceil(HEIGHT) * depth];
        pack(a, depth, lefts.as_flattened_mut(), HEIGHT);
        let mut rights = vec![[simd.splat_f32s(0.0); WIDTH]; columns.div_ceil(width) * depth];
        pack(b, depth, cast_slice_mut(rights.as_flattened_mut()), width);
        let mut waiting = vec![[[simd.splat_f32s(0.0); WIDTH]; HEIGHT]; turns.len()];
        let waiting = waiting.as_mut_slice();
        let panels = (CACHED / (depth * width)).max(1);
        for (block, rights) in rights.chunks(panels * depth).enumerate() {
            for (left, lines) in lefts.chunks_exact(depth).zip(product.chunks_mut(HEIGHT * columns)) {
                for (index, right) in rights.chunks_exact(depth).enumerate() {
                    let start = (block * panels + index) * width;
                    let end = columns.min(start + width);
                    let lines = lines.chunks_exact_mut(columns).map(|line| &mut line[start..end]);
                    match (end - start).div_ceil(S::F32_LANES) {
                        1 => write(simd, tile::<S, WIDTH, 1>(simd, left, right, turns, waiting), lines),
                        2 => write(simd, tile::<S, WIDTH, 2>(simd, left, right, turns, waiting), lines),
                        3 => write(simd, tile::<S, WIDTH, 3>(simd, left, right, turns, waiting), lines),
                        _ => write(simd, tile::<S, WIDTH, WIDTH>(simd, left, right, turns, waiting), lines),
                    }
                }
            }
        }
    }
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // With what it is computed from, a tile just fits into the registers.
        if S::REGISTER_COUNT >= 32 { self.tiles::<S, 4>(simd) } else { self.tiles::<S, 2>(simd) }
    }
}

/// Copies `depth` rows into panels of `width` columns each, where a panel's rows follow one another.
#[inline(always)]
fn pack(rows: &[f32], depth: usize, panels: &mut [f32], width: usize) {
    let length = rows.len() / depth;
    for (block, rows) in rows.chunks(ROWS * length).enumerate() {
        for (panel, start) in panels.chunks_exact_mut(depth * width).zip((0..length).step_by(width)) {
            let places = panel[block * ROWS * width..].chunks_exact_mut(width).zip(rows.chunks_exact(length));
            match length - start {
                rest if rest < width => places.for_each(|(place, row)| place[..rest].copy_from_slice(&row[start..])),
                _ => places.for_each(|(place, row)| place.copy_from_slice(&row[start..start + width])),
            }
        }
    }
}

/// `USED` registers of each line of a tile.
type Tile<S, const USED: usize> = [[<S as Simd>::f32s; USED]; HEIGHT];

/// The sum of the outer products of the rows of two panels. Sums that are to be merged wait in memory.
#[inline(always)]
fn tile<S: Simd, const WIDTH: usize, const USED: usize>(
    simd: S,
    left: &[[f32; HEIGHT]],
    right: &[[S::f32s; WIDTH]],
    turns: &[Turn],
    waiting: &mut [Tile<S, WIDTH>],
) -> Tile<S, USED> {
    let zeros = [[simd.splat_f32s(0.0); USED]; HEIGHT];
    let mut sums = zeros;
    let mut before = 0;
    for (index, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Take(rows) => {
                if index > 0 {
                    for (line, sums) in waiting[before].iter_mut().zip(&sums) {
                        line.iter_mut().zip(sums).for_each(|(place, sum)| *place = *sum);
                    }
                    before += 1;
                }
                sums = zeros;
                for (left, right) in left[rows.clone()].iter().zip(&right[rows.clone()]) {
                    for (sums, left) in sums.iter_mut().zip(left) {
                        let left = simd.splat_f32s(*left);
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = simd.mul_add_e_f32s(left, *right, *sum);
                        }
                    }
                }
            }
            Turn::Merge => {
                before -= 1;
                for (sums, line) in sums.iter_mut().zip(&waiting[before]) {
                    for (sum, other) in sums.iter_mut().zip(line) {
                        *sum = simd.add_f32s(*other, *sum);
                    }
                }
            }
        }
    }
    sums
}

/// Writes a tile to its lines, which may be narrower.
#[inline(always)]
fn write<'l, S: Simd, const USED: usize>(simd: S, tile: Tile<S, USED>, lines: impl Iterator<Item = &'l mut [f32]>) {
    for (line, sums) in lines.zip(tile) {
        for (place, sum) in line.chunks_mut(S::F32_LANES).zip(sums) {
            simd.partial_store_f32s(place, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outer, outer};
    use crate::{ml::segments::Segments, seed::Seed};

    /// Whatever the sizes and the registers, each number is a tree of chains of multiply-adds.
    #[test]
    fn products_are_trees_of_chains() {
        let mut generator = Seed::new(1).generator();
        let mut below = |most: u64| generator.below(most) as usize;
        for (rows, columns) in [(1, 1), (5, 7), (6, 64), (7, 65), (13, 40), (24, 24), (3, 130), (40, 10), (12, 200)] {
            let sizes: Vec<usize> = (0..1 + below(9)).map(|_| [0, 1, below(40)][below(3)]).collect();
            let (segments, each) = (Segments::new(&sizes), 1 + below(3));
            let depth = segments.samples() * each;
            let mut numbers =
                |count: usize| -> Vec<f32> { (0..count).map(|_| below(2001) as f32 / 1e3 - 1.0).collect() };
            let (a, b) = (numbers(depth * rows), numbers(depth * columns));
            let wanted = segments.sum(rows * columns, |samples, sums| {
                for (place, sum) in sums.iter_mut().enumerate() {
                    let (row, column) = (place / columns, place % columns);
                    for start in (samples.start * each..samples.end * each).step_by(17) {
                        let chain = (start..(samples.end * each).min(start + 17))
                            .fold(0.0_f32, |chain, at| a[at * rows + row].mul_add(b[at * columns + column], chain));
                        *sum += chain;
                    }
                }
            });
            let turns = segments.turns(depth, 17);
            let mut product = vec![f32::NAN; rows * columns];
            outer(&a, &b, &turns, &mut product, columns);
            assert!(product == wanted, "{rows} {columns}, {sizes:?} times {each}");
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                product.fill(f32::NAN);
                pulp::Simd::vectorize(simd, Outer::new(&a, &b, &turns, &mut product, columns));
                assert!(product == wanted, "{rows} {columns}, {sizes:?} times {each}, in smaller registers");
            }
        }
    }
}
