//! Operands in the layouts that instructions read.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Matrix, PANEL, Words, to_bf16, words_mut};
use crate::train::simd::{self, Kernel};

/// What of a value a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All 32 bits.
    Whole,
    /// The nearest bf16.
    High,
    /// The bf16 nearest to what `High` leaves.
    Low,
}

impl Part {
    /// Its place among the parts of an operand.
    pub fn place(self) -> usize {
        usize::from(self == Self::Low)
    }

    /// Values that a word holds.
    pub fn values(self) -> usize {
        match self {
            Self::Whole => 1,
            Self::High | Self::Low => 2,
        }
    }
}

/// The high or low part of a value, in 16 bits.
#[inline(always)]
fn bits<const LOW: bool>(value: f32) -> u32 {
    let high = to_bf16(value);
    let part = if LOW { to_bf16(value - high) } else { high };
    part.to_bits() >> 16
}

/// A layout whose words hold two values, with the widest vectors there are.
trait Layout {
    /// Implementations are `#[inline(always)]`.
    fn write<const LOW: bool>(self);
}

struct Written<L, const LOW: bool>(L);

impl<L: Layout, const LOW: bool> Kernel for Written<L, LOW> {
    #[inline(always)]
    fn run(self) {
        self.0.write::<LOW>();
    }
}

fn write(part: Part, layout: impl Layout) {
    match part {
        Part::Low => simd::run(Written::<_, true>(layout)),
        Part::High => simd::run(Written::<_, false>(layout)),
        Part::Whole => unreachable!("a word holds one value, which needs no layout of two"),
    }
}

/// The words of a matrix for sums along its rows, row-major, and the words from row to row.
pub fn along_rows<'a>(part: Part, m: Matrix<'a>, memory: &'a mut Vec<Words>) -> (&'a [u32], usize) {
    if part == Part::Whole {
        return (words_of(m.values), m.stride);
    }
    let width = m.columns.div_ceil(2);
    let words = words_mut(memory, m.rows * width);
    write(part, Along { m, words, width });
    (words, width)
}

struct Along<'a, 'w> {
    m: Matrix<'a>,
    words: &'w mut [u32],
    width: usize,
}

impl Layout for Along<'_, '_> {
    #[inline(always)]
    fn write<const LOW: bool>(self) {
        for (row, words) in self.words.chunks_exact_mut(self.width).enumerate() {
            join_pairs::<LOW>(self.m.row(row), words);
        }
    }
}

/// Write the words of values that lie side by side; what is missing is zero.
#[inline(always)]
fn join_pairs<const LOW: bool>(values: &[f32], words: &mut [u32]) {
    let (pairs, last) = values.as_chunks::<2>();
    let (whole, rest) = words.split_at_mut(pairs.len());
    for (word, [first, second]) in whole.iter_mut().zip(pairs) {
        *word = bits::<LOW>(*first) | bits::<LOW>(*second) << 16;
    }
    rest.fill(0);
    if let ([word, ..], [single]) = (rest, last) {
        *word = bits::<LOW>(*single);
    }
}

/// The words of a matrix for sums down its columns, row-major, and the words from one to the next of a column.
pub fn down_rows<'a>(part: Part, m: Matrix<'a>, memory: &'a mut Vec<Words>) -> (&'a [u32], usize) {
    if part == Part::Whole {
        return (words_of(m.values), m.stride);
    }
    // As in a grid, the words of a column must not meet in one set of the cache.
    let stride = m.columns.next_multiple_of(PANEL) + 16;
    let words = words_mut(memory, m.rows.div_ceil(2) * stride);
    write(part, Down { m, words, stride });
    (words, stride)
}

struct Down<'a, 'w> {
    m: Matrix<'a>,
    words: &'w mut [u32],
    stride: usize,
}

impl Layout for Down<'_, '_> {
    #[inline(always)]
    fn write<const LOW: bool>(self) {
        for (pair, words) in self.words.chunks_exact_mut(self.stride).enumerate() {
            join_rows::<LOW>(self.m, pair, 0..self.m.columns, words);
        }
    }
}

/// Write the words of some columns that sum over the rows `2 pair` and `2 pair + 1`; no second row counts as zeros.
#[inline(always)]
fn join_rows<const LOW: bool>(m: Matrix, pair: usize, columns: Range<usize>, words: &mut [u32]) {
    let first = &m.row(2 * pair)[columns.clone()];
    if 2 * pair + 1 < m.rows {
        let second = &m.row(2 * pair + 1)[columns];
        for ((word, first), second) in words.iter_mut().zip(first).zip(second) {
            *word = bits::<LOW>(*first) | bits::<LOW>(*second) << 16;
        }
    } else {
        for (word, first) in words.iter_mut().zip(first) {
            *word = bits::<LOW>(*first);
        }
    }
}

/// Panels over the columns of a matrix, summed down its rows: `[⌈columns / 32⌉, depth, 32]`. The depth may be more than
/// there is to sum; what is missing is zero.
pub fn write_panels_down_rows(part: Part, m: Matrix, depth: usize, panels: &mut [u32]) {
    if part != Part::Whole {
        return write(part, PanelsDown { m, depth, panels });
    }
    for (panel, words) in panels.chunks_exact_mut(depth * PANEL).enumerate() {
        let columns = panel * PANEL..m.columns.min((panel + 1) * PANEL);
        let (used, rest) = words.split_at_mut(m.rows * PANEL);
        for (k, words) in used.chunks_exact_mut(PANEL).enumerate() {
            words[..columns.len()].copy_from_slice(&words_of(m.row(k))[columns.clone()]);
            words[columns.len()..].fill(0);
        }
        rest.fill(0);
    }
}

struct PanelsDown<'a, 'w> {
    m: Matrix<'a>,
    depth: usize,
    panels: &'w mut [u32],
}

impl Layout for PanelsDown<'_, '_> {
    #[inline(always)]
    fn write<const LOW: bool>(self) {
        let Self { m, depth, panels } = self;
        for (panel, words) in panels.chunks_exact_mut(depth * PANEL).enumerate() {
            let columns = panel * PANEL..m.columns.min((panel + 1) * PANEL);
            let (used, rest) = words.split_at_mut(m.rows.div_ceil(2) * PANEL);
            for (k, words) in used.chunks_exact_mut(PANEL).enumerate() {
                join_rows::<LOW>(m, k, columns.clone(), words);
                words[columns.len()..].fill(0);
            }
            rest.fill(0);
        }
    }
}

/// Panels over the rows of a matrix, summed along them: `[⌈rows / 32⌉, depth, 32]`. The depth may be more than there is to
/// sum; what is missing is zero.
pub fn write_transposed_panels(
    part: Part,
    m: Matrix,
    depth: usize,
    scratch: &mut Vec<Words>,
    panels: &mut [u32],
) {
    let (words, stride) = along_rows(part, m, scratch);
    let used = m.columns.div_ceil(part.values());
    for (panel, panels) in panels.chunks_exact_mut(depth * PANEL).enumerate() {
        for half in 0..2 {
            let first = (panel * PANEL + 16 * half).min(m.rows);
            let rows = 16.min(m.rows - first);
            for k in (0..used).step_by(16) {
                let from = &words[(first * stride + k).min(words.len())..];
                let to = &mut panels[k * PANEL + 16 * half..];
                transpose((from, stride), [rows, 16.min(used - k)], (to, PANEL));
            }
        }
        panels[used * PANEL..].fill(0);
    }
}

/// Strips over the rows of a matrix, summed along them, tile by tile: `[⌈rows / 16⌉, depth / 16, 16, 16]`, what is
/// missing zero.
pub fn write_strips(part: Part, m: Matrix, depth: usize, strips: &mut [u32]) {
    write(part, Strips { m, depth, strips });
}

struct Strips<'a, 'w> {
    m: Matrix<'a>,
    depth: usize,
    strips: &'w mut [u32],
}

impl Layout for Strips<'_, '_> {
    #[inline(always)]
    fn write<const LOW: bool>(self) {
        let Self { m, depth, strips } = self;
        for (index, strip) in strips.chunks_exact_mut(16 * depth).enumerate() {
            for (step, tile) in strip.chunks_exact_mut(16 * 16).enumerate() {
                let columns = 32 * step..m.columns.min(32 * (step + 1));
                for (row, line) in tile.chunks_exact_mut(16).enumerate() {
                    let row = 16 * index + row;
                    if row < m.rows {
                        join_pairs::<LOW>(&m.row(row)[columns.clone()], line);
                    } else {
                        line.fill(0);
                    }
                }
            }
        }
    }
}

/// Strips over the columns of a matrix, summed down its rows: as [`write_strips`] of its transpose.
pub fn write_transposed_strips(
    part: Part,
    m: Matrix,
    depth: usize,
    scratch: &mut Vec<Words>,
    strips: &mut [u32],
) {
    let (words, stride) = down_rows(part, m, scratch);
    for (index, strip) in strips.chunks_exact_mut(16 * depth).enumerate() {
        let first = m.columns.min(16 * index);
        let columns = 16.min(m.columns - first);
        for (step, tile) in strip.chunks_exact_mut(16 * 16).enumerate() {
            let pairs = 16.min(m.rows.div_ceil(2) - 16 * step);
            let from = &words[16 * step * stride + first..];
            transpose((from, stride), [pairs, columns], (tile, 16));
            tile[16 * columns..].fill(0);
        }
    }
}

/// Where the words of two rows go in each step of a transposition: the pairs of rows at a distance of 8, 4, 2 and 1
/// exchange halves of their blocks of that size. Words of the second row count from 16.
const EXCHANGE: [[[u32; 16]; 2]; 4] = {
    let mut table = [[[0; 16]; 2]; 4];
    let mut at = 0;
    while at < 4 {
        let step = 8 >> at;
        let mut i = 0;
        while i < 16 {
            let (second, within) = (i / step % 2, i / step / 2 * 2 * step + i % step);
            table[at][0][i] = (16 * second + within) as u32;
            table[at][1][i] = (16 * second + within + step) as u32;
            i += 1;
        }
        at += 1;
    }
    table
};

/// Write the transpose of up to 16 by 16 words as lines of 16; missing rows are zero. Each side has its stride.
fn transpose(
    (from, stride): (&[u32], usize),
    [rows, columns]: [usize; 2],
    (to, step): (&mut [u32], usize),
) {
    assert!(rows <= 16 && columns <= 16);
    if columns == 0 {
        return;
    }
    assert!(rows == 0 || (rows - 1) * stride + columns <= from.len());
    assert!((columns - 1) * step + 16 <= to.len());
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions, and the words that are read and written lie in the slices, as
        // asserted above.
        unsafe {
            exchange(
                from.as_ptr(),
                stride,
                [rows, columns],
                to.as_mut_ptr(),
                step,
            )
        };
        return;
    }
    for (k, line) in to.chunks_mut(step).enumerate().take(columns) {
        for (row, word) in line[..16].iter_mut().enumerate() {
            *word = if row < rows {
                from[row * stride + k]
            } else {
                0
            };
        }
    }
}

/// # Safety
/// The processor has the instructions. There are `rows` rows of `columns` words, and room for `columns` lines of 16.
#[target_feature(enable = "avx512f")]
unsafe fn exchange(
    from: *const u32,
    stride: usize,
    [rows, columns]: [usize; 2],
    to: *mut u32,
    step: usize,
) {
    // SAFETY: the caller's promise covers every word; the mask leaves out those beyond the columns.
    unsafe {
        let mask = ((1_u32 << columns) - 1) as __mmask16;
        let mut lines = [_mm512_setzero_si512(); 16];
        for (i, line) in lines.iter_mut().enumerate().take(rows) {
            *line = _mm512_maskz_loadu_epi32(mask, from.add(i * stride).cast());
        }
        for (at, [first, second]) in EXCHANGE.iter().enumerate() {
            let distance = 8 >> at;
            let (first, second) = (first.as_ptr().cast(), second.as_ptr().cast());
            let (first, second) = (_mm512_loadu_si512(first), _mm512_loadu_si512(second));
            for i in 0..16 {
                if i / distance % 2 == 0 {
                    let (a, b) = (lines[i], lines[i + distance]);
                    lines[i] = _mm512_permutex2var_epi32(a, first, b);
                    lines[i + distance] = _mm512_permutex2var_epi32(a, second, b);
                }
            }
        }
        for (k, line) in lines.iter().enumerate().take(columns) {
            _mm512_storeu_si512(to.add(k * step).cast(), *line);
        }
    }
}

fn words_of(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have one size and alignment, and every pattern of bits is a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}
