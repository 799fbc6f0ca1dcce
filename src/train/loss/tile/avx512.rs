//! Products by AVX-512. One loop serves f32 and bf16, for both multiply 32-bit words: a word is one f32, or two bf16
//! that lie side by side along the sum, and one instruction multiplies sixteen words by a broadcast one and adds them to
//! sixteen f32 sums. Eight rows by 32 columns of sums stay in registers.
//!
//! The operand whose words are broadcast is read where it lies; the other was packed into panels of 32 columns before,
//! once for all squares that its rows are in.

use std::arch::x86_64::*;

use super::parts::{parts, products};
use super::{Grid, Operand, Pack, Precision, Prepared, Rows, Uses};
use crate::train::words::{
    PANEL, Part, Sums, along_rows, down_rows, words, words_mut, write_panels_down_rows,
    write_transposed_panels,
};

/// Rows of sums in registers.
const ROWS: usize = 8;

pub fn serves(precision: Precision) -> bool {
    let foundation = is_x86_feature_detected!("avx512f");
    match precision {
        Precision::F32 => foundation,
        Precision::Bf16x3 | Precision::Bf16 => foundation && is_x86_feature_detected!("avx512bf16"),
    }
}

/// The panels of rows that come up again and again.
pub fn prepare(precision: Precision, rows: Rows<f32>, uses: Uses) -> Prepared {
    let mut prepared = Prepared::default();
    let mut scratch = Vec::new();
    for &part in parts(precision) {
        if uses.similarities {
            let depth = rows.dim.div_ceil(part.values());
            let count = rows.count().next_multiple_of(PANEL) * depth;
            let words = words_mut(&mut prepared.across[part.place()], count);
            write_transposed_panels(part, rows.into(), depth, &mut scratch, words);
        }
        if uses.gradient {
            let depth = rows.count().div_ceil(part.values());
            let count = rows.dim.next_multiple_of(PANEL) * depth;
            let words = words_mut(&mut prepared.down[part.place()], count);
            write_panels_down_rows(part, rows.into(), depth, words);
        }
    }
    prepared
}

pub fn similarities(
    precision: Precision,
    x: &Operand<f32>,
    y: &Operand<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    let (stride, columns) = (s.stride, s.columns);
    for (first, &(x_part, y_part)) in products(precision).iter().enumerate() {
        let (a, row) = along_rows(x_part, x.rows.into(), &mut pack.words);
        let a = Broadcast {
            words: a,
            row,
            step: 1,
            rows: x.rows.count(),
            depth: x.rows.dim.div_ceil(x_part.values()),
        };
        let sums = Sums {
            values: &mut s.values,
            stride,
            add: first > 0,
        };
        let panels = words(&y.prepared.across[y_part.place()]);
        multiply(x_part, a, panels, columns, sums);
    }
}

pub fn add_gradients(
    precision: Precision,
    g: &Grid<f32>,
    (x, y): (&Operand<f32>, &Operand<f32>),
    (dx, dy): (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    let dim = x.rows.dim;
    let wanted = |d: &[f32]| {
        if d.is_empty() {
            &[][..]
        } else {
            products(precision)
        }
    };
    for &(g_part, y_part) in wanted(dx) {
        let (a, row) = along_rows(g_part, g.into(), &mut pack.words);
        let a = Broadcast {
            words: a,
            row,
            step: 1,
            rows: g.rows,
            depth: g.columns.div_ceil(g_part.values()),
        };
        multiply(
            g_part,
            a,
            words(&y.prepared.down[y_part.place()]),
            dim,
            Sums::added_to(&mut *dx, dim),
        );
    }
    for &(g_part, x_part) in wanted(dy) {
        let (a, step) = down_rows(g_part, g.into(), &mut pack.words);
        let a = Broadcast {
            words: a,
            row: 1,
            step,
            rows: g.columns,
            depth: g.rows.div_ceil(g_part.values()),
        };
        multiply(
            g_part,
            a,
            words(&x.prepared.down[x_part.place()]),
            dim,
            Sums::added_to(&mut *dy, dim),
        );
    }
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

/// `sums[i, j] = [sums[i, j] +] Σ_k a[i, k] · panels[k, j]`, where the product of two words is that of their values, or
/// the sum of the products of their halves.
fn multiply(part: Part, a: Broadcast, panels: &[u32], columns: usize, sums: Sums) {
    if a.rows == 0 || a.depth == 0 || columns == 0 {
        return;
    }
    assert!((a.rows - 1) * a.row + (a.depth - 1) * a.step < a.words.len());
    assert_eq!(panels.len(), columns.div_ceil(PANEL) * a.depth * PANEL);
    assert!(columns <= sums.stride);
    assert!((a.rows - 1) * sums.stride + columns <= sums.values.len());
    // SAFETY: the instructions are there, as whoever made the kernel asked `serves`; and every word and sum that is
    // addressed below lies in its slice, as asserted above.
    unsafe {
        match part {
            Part::Whole => multiply_f32(a, panels, columns, sums),
            Part::High | Part::Low => multiply_bf16(a, panels, columns, sums),
        }
    }
}

/// # Safety
/// As [`sweep`].
#[target_feature(enable = "avx512f")]
unsafe fn multiply_f32(a: Broadcast, panels: &[u32], columns: usize, sums: Sums) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<false>(a, panels, columns, sums) }
}

/// # Safety
/// As [`sweep`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn multiply_bf16(a: Broadcast, panels: &[u32], columns: usize, sums: Sums) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<true>(a, panels, columns, sums) }
}

/// Every block of rows with every panel: the rows' words stay in the first cache, the panels stream.
///
/// # Safety
/// The processor has the instructions, and the slices hold what shapes and strides address.
#[inline(always)]
unsafe fn sweep<const BF16: bool>(a: Broadcast, panels: &[u32], columns: usize, sums: Sums) {
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
                    columns: PANEL.min(columns - first),
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
