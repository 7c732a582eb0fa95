//! Sums of outer products: gradients of weights, which are written to memory once, whatever shards they are summed over.

use super::segments::Turn;
use pulp::{Arch, Simd, WithSimd, bytemuck::cast_slice_mut};
use std::ops::Range;

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
        let (width, lines) = (WIDTH * S::F32_LANES, a.len() / depth);
        let (across, down) = (columns.div_ceil(width), lines.div_ceil(HEIGHT));
        let mut lefts = vec![[0.0; HEIGHT]; down * depth];
        pack(a, depth, HEIGHT, |row, piece| match piece.first_chunk() {
            Some(piece) => lefts[row] = *piece,
            None => lefts[row][..piece.len()].copy_from_slice(piece),
        });
        let mut rights = vec![[simd.splat_f32s(0.0); WIDTH]; across * depth];
        let numbers: &mut [f32] = cast_slice_mut(rights.as_flattened_mut());
        pack(b, depth, width, |row, piece| numbers[row * width..][..piece.len()].copy_from_slice(piece));
        let mut waiting = vec![[[simd.splat_f32s(0.0); WIDTH]; HEIGHT]; turns.len()];
        let waiting = waiting.as_mut_slice();
        let most = (CACHED / (depth * width)).max(1);
        for block in (0..across).step_by(most) {
            for down in 0..down {
                let left = &lefts[down * depth..(down + 1) * depth];
                let lines = &mut product[down * HEIGHT * columns..lines.min((down + 1) * HEIGHT) * columns];
                for across in block..across.min(block + most) {
                    let right = &rights[across * depth..(across + 1) * depth];
                    let place = across * width..columns.min((across + 1) * width);
                    match place.len().div_ceil(S::F32_LANES) {
                        1 => write(simd, tile::<S, WIDTH, 1>(simd, left, right, turns, waiting), lines, columns, place),
                        2 => write(simd, tile::<S, WIDTH, 2>(simd, left, right, turns, waiting), lines, columns, place),
                        3 => write(simd, tile::<S, WIDTH, 3>(simd, left, right, turns, waiting), lines, columns, place),
                        _ => write(
                            simd,
                            tile::<S, WIDTH, WIDTH>(simd, left, right, turns, waiting),
                            lines,
                            columns,
                            place,
                        ),
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

/// Cuts `depth` rows into panels of `width` columns each, where a panel's rows follow one another: `copy` hears of each place
/// and of what belongs there.
#[inline(always)]
fn pack(rows: &[f32], depth: usize, width: usize, mut copy: impl FnMut(usize, &[f32])) {
    let length = rows.len() / depth;
    for first in (0..depth).step_by(ROWS) {
        for panel in 0..length.div_ceil(width) {
            let (start, end) = (panel * width, length.min((panel + 1) * width));
            for row in first..depth.min(first + ROWS) {
                copy(panel * depth + row, &rows[row * length + start..row * length + end]);
            }
        }
    }
}

/// `USED` registers of each line of a tile.
type Tile<S, const USED: usize> = [[<S as Simd>::f32s; USED]; HEIGHT];

/// The sum of the outer products of the rows of two panels. Sums that are to be merged wait in memory.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "where crates are optimized one by one, iterators over two slices are calls"
)]
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
                    for line in 0..HEIGHT {
                        for at in 0..USED {
                            waiting[before][line][at] = sums[line][at];
                        }
                    }
                    before += 1;
                }
                sums = zeros;
                let (left, right) = (&left[rows.start..rows.end], &right[rows.start..rows.end]);
                // Each line by itself, as the sums leave the registers where this is a loop.
                let [first, second, third, fourth, fifth, sixth] = &mut sums;
                for row in 0..left.len() {
                    add(simd, left[row][0], &right[row], first);
                    add(simd, left[row][1], &right[row], second);
                    add(simd, left[row][2], &right[row], third);
                    add(simd, left[row][3], &right[row], fourth);
                    add(simd, left[row][4], &right[row], fifth);
                    add(simd, left[row][5], &right[row], sixth);
                }
            }
            Turn::Merge => {
                before -= 1;
                for line in 0..HEIGHT {
                    for at in 0..USED {
                        sums[line][at] = simd.add_f32s(waiting[before][line][at], sums[line][at]);
                    }
                }
            }
        }
    }
    sums
}

/// Adds the product of a number and a row to sums.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "iterators over two slices are calls, see `tile`")]
fn add<S: Simd, const WIDTH: usize, const USED: usize>(
    simd: S,
    number: f32,
    row: &[S::f32s; WIDTH],
    sums: &mut [S::f32s; USED],
) {
    let number = simd.splat_f32s(number);
    for at in 0..USED {
        sums[at] = simd.mul_add_e_f32s(number, row[at], sums[at]);
    }
}

/// Writes a tile to its place in some lines of the product, which may be less.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "iterators over two slices are calls, see `tile`")]
fn write<S: Simd, const USED: usize>(
    simd: S,
    tile: Tile<S, USED>,
    lines: &mut [f32],
    columns: usize,
    place: Range<usize>,
) {
    for line in 0..lines.len() / columns {
        for at in 0..USED {
            let start = place.start + at * S::F32_LANES;
            let end = place.end.min(start + S::F32_LANES);
            simd.partial_store_f32s(&mut lines[line * columns + start..line * columns + end], tile[line][at]);
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
