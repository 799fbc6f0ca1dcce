//! What the vectorised products share: operands as words for sums along their depth, in the layouts that the kernels
//! read, and where the sums go. A word is one f32, or two bf16 that lie side by side along the sum.

use std::arch::x86_64::*;
use std::ops::Range;

use super::portable::to_bf16;
use super::{Grid, PANEL, Precision, Rows, Words};

/// The parts of two operands that are multiplied.
pub fn products(precision: Precision) -> &'static [(Part, Part)] {
    match precision {
        Precision::F32 => &[(Part::Whole, Part::Whole)],
        Precision::Bf16 => &[(Part::High, Part::High)],
        // That of two low parts is below what f32 resolves.
        Precision::Bf16x3 => &[
            (Part::High, Part::High),
            (Part::High, Part::Low),
            (Part::Low, Part::High),
        ],
    }
}

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

    /// The part of each value, in 16 bits.
    fn bits(self, value: f32) -> u32 {
        let high = to_bf16(value);
        let part = if self == Self::Low {
            to_bf16(value - high)
        } else {
            high
        };
        part.to_bits() >> 16
    }
}

/// The parts that the values of an operand are taken apart into.
pub fn parts(precision: Precision) -> &'static [Part] {
    match precision {
        Precision::F32 => &[Part::Whole],
        Precision::Bf16 => &[Part::High],
        Precision::Bf16x3 => &[Part::High, Part::Low],
    }
}

/// Values that are to be packed; `stride` from row to row.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Matrix<'a> {
    fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.columns]
    }
}

impl<'a> From<Rows<'a, f32>> for Matrix<'a> {
    fn from(rows: Rows<'a, f32>) -> Self {
        Self {
            values: rows.data,
            rows: rows.count(),
            columns: rows.dim,
            stride: rows.dim,
        }
    }
}

impl<'a> From<&'a Grid<f32>> for Matrix<'a> {
    fn from(grid: &'a Grid<f32>) -> Self {
        Self {
            values: &grid.values,
            rows: grid.rows,
            columns: grid.columns,
            stride: grid.stride,
        }
    }
}

/// The words of a matrix for sums along its rows, row-major, and the words from row to row.
pub fn along_rows<'a>(part: Part, m: Matrix<'a>, memory: &'a mut Vec<Words>) -> (&'a [u32], usize) {
    if part == Part::Whole {
        return (words_of(m.values), m.stride);
    }
    let width = m.columns.div_ceil(2);
    let words = words_mut(memory, m.rows * width);
    for (row, words) in words.chunks_exact_mut(width).enumerate() {
        join_pairs(part, m.row(row), words);
    }
    (words, width)
}

/// Write the words of values that lie side by side; what is missing is zero.
#[inline(always)]
fn join_pairs(part: Part, values: &[f32], words: &mut [u32]) {
    let (pairs, last) = values.as_chunks::<2>();
    let (whole, rest) = words.split_at_mut(pairs.len());
    for (word, [first, second]) in whole.iter_mut().zip(pairs) {
        *word = part.bits(*first) | part.bits(*second) << 16;
    }
    rest.fill(0);
    if let ([word, ..], [single]) = (rest, last) {
        *word = part.bits(*single);
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
    for (pair, words) in words.chunks_exact_mut(stride).enumerate() {
        join_rows(part, m, pair, 0..m.columns, words);
    }
    (words, stride)
}

/// Write the words of some columns that sum over the rows `2 pair` and `2 pair + 1`; no second row counts as zeros.
#[inline(always)]
fn join_rows(part: Part, m: Matrix, pair: usize, columns: Range<usize>, words: &mut [u32]) {
    let first = &m.row(2 * pair)[columns.clone()];
    if 2 * pair + 1 < m.rows {
        let second = &m.row(2 * pair + 1)[columns];
        for ((word, first), second) in words.iter_mut().zip(first).zip(second) {
            *word = part.bits(*first) | part.bits(*second) << 16;
        }
    } else {
        for (word, first) in words.iter_mut().zip(first) {
            *word = part.bits(*first);
        }
    }
}

/// Panels over the columns of a matrix, summed down its rows: `[⌈columns / 32⌉, depth, 32]`. The depth may be more than
/// there is to sum; what is missing is zero.
pub fn write_panels_down_rows(part: Part, m: Matrix, depth: usize, panels: &mut [u32]) {
    for (panel, words) in panels.chunks_exact_mut(depth * PANEL).enumerate() {
        let columns = panel * PANEL..m.columns.min((panel + 1) * PANEL);
        let (used, rest) = words.split_at_mut(m.rows.div_ceil(part.values()) * PANEL);
        for (k, words) in used.chunks_exact_mut(PANEL).enumerate() {
            match part {
                Part::Whole => {
                    words[..columns.len()].copy_from_slice(&words_of(m.row(k))[columns.clone()])
                }
                Part::High | Part::Low => join_rows(part, m, k, columns.clone(), words),
            }
            words[columns.len()..].fill(0);
        }
        rest.fill(0);
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
    for (index, strip) in strips.chunks_exact_mut(16 * depth).enumerate() {
        for (step, tile) in strip.chunks_exact_mut(16 * 16).enumerate() {
            let columns = 32 * step..m.columns.min(32 * (step + 1));
            for (row, line) in tile.chunks_exact_mut(16).enumerate() {
                let row = 16 * index + row;
                let values = if row < m.rows {
                    &m.row(row)[columns.clone()]
                } else {
                    &[]
                };
                join_pairs(part, values, line);
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

/// The words of the memory.
pub fn words(memory: &[Words]) -> &[u32] {
    // SAFETY: as in `words_mut`.
    unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), 16 * memory.len()) }
}

/// `count` words of the memory, whatever was there.
pub fn words_mut(memory: &mut Vec<Words>, count: usize) -> &mut [u32] {
    let lines = count.div_ceil(16);
    if memory.len() < lines {
        memory.resize(lines, Words([0; 16]));
    }
    // SAFETY: a line is sixteen u32 and nothing else, so the first `lines` of them hold at least `count`; the borrow
    // of the memory is exclusive and goes on in what is returned.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), count) }
}

/// Where the product goes, row-major.
pub struct Sums<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub columns: usize,
    /// To what is there, or in its place.
    pub add: bool,
}

impl<'a> Sums<'a> {
    /// To rows of `columns` values that lie without a gap.
    pub fn added_to(values: &'a mut [f32], columns: usize) -> Self {
        Self {
            values,
            stride: columns,
            columns,
            add: true,
        }
    }
}
