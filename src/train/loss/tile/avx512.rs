//! Products by AVX-512. One loop serves f32 and bf16, for both multiply 32-bit words: a word is one f32, or two bf16
//! that lie side by side along the sum, and one instruction multiplies sixteen words by a broadcast one and adds them to
//! sixteen f32 sums. Eight rows by 32 columns of sums stay in registers.
//!
//! The operand whose words are broadcast is read where it lies; the other is packed into panels of 32 columns.

use std::arch::x86_64::*;
use std::ops::Range;

use super::portable::to_bf16;
use super::{Grid, PANEL, Pack, Precision, Rows, Words};

/// Rows of sums in registers.
const ROWS: usize = 8;

pub fn serves(precision: Precision) -> bool {
    let foundation = is_x86_feature_detected!("avx512f");
    match precision {
        Precision::F32 => foundation,
        Precision::Bf16x3 | Precision::Bf16 => foundation && is_x86_feature_detected!("avx512bf16"),
    }
}

/// The parts of two operands that are multiplied.
fn products(precision: Precision) -> &'static [(Part, Part)] {
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
enum Part {
    /// All 32 bits.
    Whole,
    /// The nearest bf16.
    High,
    /// The bf16 nearest to what `High` leaves.
    Low,
}

impl Part {
    /// Values that a word holds.
    fn values(self) -> usize {
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

pub fn similarities(
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    let [x_words, y_words, panels] = &mut pack.words;
    let (stride, columns) = (s.stride, s.columns);
    for (first, &(x_part, y_part)) in products(precision).iter().enumerate() {
        let (a, row) = along_rows(x_part, x.into(), x_words);
        let depth = x.dim.div_ceil(x_part.values());
        multiply(
            x_part,
            Broadcast {
                words: a,
                row,
                step: 1,
                rows: x.count(),
                depth,
            },
            transposed_panels(y_part, y.into(), y_words, panels),
            Sums {
                values: &mut s.values,
                stride,
                columns,
                add: first > 0,
            },
        );
    }
}

pub fn add_gradients(
    precision: Precision,
    g: &Grid<f32>,
    (x, y): (Rows<f32>, Rows<f32>),
    (dx, dy): (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    let [words, _, panels] = &mut pack.words;
    let (columns, stride) = (x.dim, x.dim);
    let wanted = |d: &[f32]| {
        if d.is_empty() {
            &[][..]
        } else {
            products(precision)
        }
    };
    for &(g_part, y_part) in wanted(dx) {
        let (a, row) = along_rows(g_part, g.into(), words);
        let depth = g.columns.div_ceil(g_part.values());
        multiply(
            g_part,
            Broadcast {
                words: a,
                row,
                step: 1,
                rows: g.rows,
                depth,
            },
            panels_down_rows(y_part, y.into(), panels),
            Sums {
                values: dx,
                stride,
                columns,
                add: true,
            },
        );
    }
    for &(g_part, x_part) in wanted(dy) {
        let (a, step) = down_rows(g_part, g.into(), words);
        let depth = g.rows.div_ceil(g_part.values());
        multiply(
            g_part,
            Broadcast {
                words: a,
                row: 1,
                step,
                rows: g.columns,
                depth,
            },
            panels_down_rows(x_part, x.into(), panels),
            Sums {
                values: dy,
                stride,
                columns,
                add: true,
            },
        );
    }
}

/// Values that are to be packed; `stride` from row to row.
#[derive(Clone, Copy)]
struct Matrix<'a> {
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
fn along_rows<'a>(part: Part, m: Matrix<'a>, memory: &'a mut Vec<Words>) -> (&'a [u32], usize) {
    if part == Part::Whole {
        return (words_of(m.values), m.stride);
    }
    let width = m.columns.div_ceil(2);
    let words = words_mut(memory, m.rows * width);
    for (row, words) in words.chunks_exact_mut(width).enumerate() {
        let (pairs, last) = m.row(row).as_chunks::<2>();
        for (word, [first, second]) in words.iter_mut().zip(pairs) {
            *word = part.bits(*first) | part.bits(*second) << 16;
        }
        if let ([.., word], [single]) = (words, last) {
            *word = part.bits(*single);
        }
    }
    (words, width)
}

/// The words of a matrix for sums down its columns, row-major, and the words from one to the next of a column.
fn down_rows<'a>(part: Part, m: Matrix<'a>, memory: &'a mut Vec<Words>) -> (&'a [u32], usize) {
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

/// Panels over the columns of a matrix, summed down its rows: `[⌈columns / 32⌉, depth, 32]`, missing columns zero.
fn panels_down_rows<'a>(part: Part, m: Matrix, memory: &'a mut Vec<Words>) -> &'a [u32] {
    let depth = m.rows.div_ceil(part.values());
    let words = words_mut(memory, m.columns.div_ceil(PANEL) * depth * PANEL);
    for (panel, words) in words.chunks_exact_mut(depth * PANEL).enumerate() {
        let columns = panel * PANEL..m.columns.min((panel + 1) * PANEL);
        for (k, words) in words.chunks_exact_mut(PANEL).enumerate() {
            match part {
                Part::Whole => {
                    let row = &words_of(m.row(k))[columns.clone()];
                    // A whole panel has a length that the compiler knows.
                    match (words.as_mut_array::<PANEL>(), row.as_array::<PANEL>()) {
                        (Some(words), Some(row)) => *words = *row,
                        _ => words[..columns.len()].copy_from_slice(row),
                    }
                }
                Part::High | Part::Low => join_rows(part, m, k, columns.clone(), words),
            }
            words[columns.len()..].fill(0);
        }
    }
    words
}

/// Panels over the rows of a matrix, summed along them: `[⌈rows / 32⌉, depth, 32]`, missing rows zero.
fn transposed_panels<'a>(
    part: Part,
    m: Matrix,
    memory: &mut Vec<Words>,
    panels: &'a mut Vec<Words>,
) -> &'a [u32] {
    let (words, stride) = along_rows(part, m, memory);
    let depth = m.columns.div_ceil(part.values());
    let panels = words_mut(panels, m.rows.div_ceil(PANEL) * depth * PANEL);
    for (panel, panels) in panels.chunks_exact_mut(depth * PANEL).enumerate() {
        for half in 0..2 {
            let first = (panel * PANEL + 16 * half).min(m.rows);
            let rows = 16.min(m.rows - first);
            for k in (0..depth).step_by(16) {
                let columns = 16.min(depth - k);
                let from = &words[(first * stride + k).min(words.len())..];
                let to = &mut panels[k * PANEL + 16 * half..];
                assert!(rows == 0 || (rows - 1) * stride + columns <= from.len());
                assert!((columns - 1) * PANEL + 16 <= to.len());
                // SAFETY: whoever made the kernel asked `serves` for the instructions, and the words that are read and
                // written lie in the slices, as asserted above.
                unsafe { transpose(from.as_ptr(), stride, rows, columns, to.as_mut_ptr()) };
            }
        }
    }
    panels
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

/// Write the transpose of up to 16 by 16 words, `stride` from row to row, into lines of a panel; missing rows are zero.
///
/// # Safety
/// The processor has the instructions. There are `rows` rows of `columns` words, and room for `columns` lines of 16.
#[target_feature(enable = "avx512f")]
unsafe fn transpose(from: *const u32, stride: usize, rows: usize, columns: usize, to: *mut u32) {
    // SAFETY: the caller's promise covers every word; the mask leaves out those beyond the columns.
    unsafe {
        let mask = ((1_u32 << columns) - 1) as __mmask16;
        let mut lines = [_mm512_setzero_si512(); 16];
        for (i, line) in lines.iter_mut().enumerate().take(rows) {
            *line = _mm512_maskz_loadu_epi32(mask, from.add(i * stride).cast());
        }
        exchange::<8>(&mut lines, &EXCHANGE[0]);
        exchange::<4>(&mut lines, &EXCHANGE[1]);
        exchange::<2>(&mut lines, &EXCHANGE[2]);
        exchange::<1>(&mut lines, &EXCHANGE[3]);
        for (k, line) in lines.iter().enumerate().take(columns) {
            _mm512_storeu_si512(to.add(k * PANEL).cast(), *line);
        }
    }
}

/// One step of a transposition. The distance is known to the compiler, so that lines stay in registers.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn exchange<const STEP: usize>(lines: &mut [__m512i; 16], [first, second]: &[[u32; 16]; 2]) {
    // SAFETY: the caller's promise; a table's row is sixteen words.
    unsafe {
        let (first, second) = (load(first.as_ptr()), load(second.as_ptr()));
        for i in 0..16 {
            if i / STEP % 2 == 0 {
                let (a, b) = (lines[i], lines[i + STEP]);
                lines[i] = _mm512_permutex2var_epi32(a, first, b);
                lines[i + STEP] = _mm512_permutex2var_epi32(a, second, b);
            }
        }
    }
}

fn words_of(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have one size and alignment, and every pattern of bits is a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// `count` words of the memory, whatever was there.
fn words_mut(memory: &mut Vec<Words>, count: usize) -> &mut [u32] {
    let lines = count.div_ceil(16);
    if memory.len() < lines {
        memory.resize(lines, Words([0; 16]));
    }
    // SAFETY: a line is sixteen u32 and nothing else, so the first `lines` of them hold at least `count`; the borrow
    // of the memory is exclusive and goes on in what is returned.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), count) }
}

/// The operand whose words are broadcast: word k of row i lies at `row · i + step · k`.
#[derive(Clone, Copy)]
struct Broadcast<'a> {
    words: &'a [u32],
    row: usize,
    step: usize,
    rows: usize,
    depth: usize,
}

/// Where the product goes, row-major.
struct Sums<'a> {
    values: &'a mut [f32],
    stride: usize,
    columns: usize,
    /// To what is there, or in its place.
    add: bool,
}

/// `sums[i, j] = [sums[i, j] +] Σ_k a[i, k] · panels[k, j]`, where the product of two words is that of their values, or
/// the sum of the products of their halves.
fn multiply(part: Part, a: Broadcast, panels: &[u32], sums: Sums) {
    if a.rows == 0 || a.depth == 0 || sums.columns == 0 {
        return;
    }
    assert!((a.rows - 1) * a.row + (a.depth - 1) * a.step < a.words.len());
    assert_eq!(panels.len(), sums.columns.div_ceil(PANEL) * a.depth * PANEL);
    assert!(sums.columns <= sums.stride);
    assert!((a.rows - 1) * sums.stride + sums.columns <= sums.values.len());
    // SAFETY: the instructions are there, as whoever made the kernel asked `serves`; and every word and sum that is
    // addressed below lies in its slice, as asserted above.
    unsafe {
        match part {
            Part::Whole => multiply_f32(a, panels, sums),
            Part::High | Part::Low => multiply_bf16(a, panels, sums),
        }
    }
}

/// # Safety
/// As [`sweep`].
#[target_feature(enable = "avx512f")]
unsafe fn multiply_f32(a: Broadcast, panels: &[u32], sums: Sums) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<false>(a, panels, sums) }
}

/// # Safety
/// As [`sweep`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn multiply_bf16(a: Broadcast, panels: &[u32], sums: Sums) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<true>(a, panels, sums) }
}

/// Every block of rows with every panel: the rows' words stay in the first cache, the panels stream.
///
/// # Safety
/// The processor has the instructions, and the slices hold what shapes and strides address.
#[inline(always)]
unsafe fn sweep<const BF16: bool>(a: Broadcast, panels: &[u32], sums: Sums) {
    let mut row = 0;
    while row < a.rows {
        let rows = match a.rows - row {
            ROWS.. => ROWS,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        for (index, panel) in panels.chunks_exact(a.depth * PANEL).enumerate() {
            let first = index * PANEL;
            // SAFETY: the block is inside the matrices, whose every element the caller promises.
            unsafe {
                let words = a.words.as_ptr().add(row * a.row);
                let out = sums.values.as_mut_ptr().add(row * sums.stride + first);
                let block = Block {
                    words,
                    row: a.row,
                    step: a.step,
                    depth: a.depth,
                    panel: panel.as_ptr(),
                    out,
                    stride: sums.stride,
                    columns: PANEL.min(sums.columns - first),
                    add: sums.add,
                };
                match rows {
                    ROWS => block.multiply::<ROWS, BF16>(),
                    4 => block.multiply::<4, BF16>(),
                    2 => block.multiply::<2, BF16>(),
                    _ => block.multiply::<1, BF16>(),
                }
            }
        }
        row += rows;
    }
}

/// Some rows by one panel.
#[derive(Clone, Copy)]
struct Block {
    words: *const u32,
    row: usize,
    step: usize,
    depth: usize,
    panel: *const u32,
    out: *mut f32,
    stride: usize,
    columns: usize,
    add: bool,
}

impl Block {
    /// # Safety
    /// As [`sweep`].
    #[inline(always)]
    unsafe fn multiply<const M: usize, const BF16: bool>(self) {
        // SAFETY: the caller's promise covers every word, and the masks every sum that is no column of the matrix.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            let (mut words, mut panel) = (self.words, self.panel);
            for _ in 0..self.depth {
                let (left, right) = (load(panel), load(panel.add(16)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let word = _mm512_set1_epi32(words.add(i * self.row).read().cast_signed());
                    sums[0] = fma::<BF16>(word, left, sums[0]);
                    sums[1] = fma::<BF16>(word, right, sums[1]);
                }
                words = words.add(self.step);
                panel = panel.add(PANEL);
            }
            let mask = |columns: usize| ((1_u32 << columns.min(16)) - 1) as __mmask16;
            let masks = [mask(self.columns), mask(self.columns.saturating_sub(16))];
            for (i, sums) in sums.iter().enumerate() {
                for (half, (sum, mask)) in sums.iter().zip(masks).enumerate() {
                    let out = self.out.wrapping_add(i * self.stride + 16 * half);
                    let sum = if self.add {
                        _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), *sum)
                    } else {
                        *sum
                    };
                    _mm512_mask_storeu_ps(out, mask, sum);
                }
            }
        }
    }
}

/// # Safety
/// Sixteen words lie there.
#[inline(always)]
unsafe fn load(words: *const u32) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(words.cast()) }
}

/// # Safety
/// The processor has the instruction.
#[inline(always)]
unsafe fn fma<const BF16: bool>(word: __m512i, panel: __m512i, sum: __m512) -> __m512 {
    // SAFETY: the caller's promise. Sixteen words and thirty-two bf16 are the same 512 bits.
    unsafe {
        if BF16 {
            let halves = |words: __m512i| std::mem::transmute::<__m512i, __m512bh>(words);
            _mm512_dpbf16_ps(sum, halves(word), halves(panel))
        } else {
            _mm512_fmadd_ps(_mm512_castsi512_ps(word), _mm512_castsi512_ps(panel), sum)
        }
    }
}
