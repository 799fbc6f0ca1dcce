//! Products of pairs of bf16 by AVX512_BF16: one instruction multiplies sixteen pairs by a broadcast one and adds both
//! products of each to its sum.

use std::arch::x86_64::*;

use super::kernel::{Multiplier, Product};
use super::pack::PANEL;

/// Whether the processor has the instruction.
pub fn is_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

pub fn multiply(product: Product<u32>) {
    assert!(is_there(), "who packed pairs asked for it");
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { run(product) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn run(product: Product<u32>) {
    product.run(Pairs(()));
}

/// Made by [`run`] alone, where the instructions are.
#[derive(Clone, Copy)]
struct Pairs(());

impl Multiplier for Pairs {
    type Word = u32;
    type Words = [u32; 16];
    type Sums = [f32; 16];

    #[inline(always)]
    fn zero(self) -> [f32; 16] {
        [0.0; 16]
    }

    #[inline(always)]
    fn broadcast(self, word: u32) -> [u32; 16] {
        [word; 16]
    }

    #[inline(always)]
    fn load(line: &[u32; PANEL], pair: usize) -> [[u32; 16]; 2] {
        let (vectors, _) = line.as_chunks();
        [vectors[2 * pair], vectors[2 * pair + 1]]
    }

    #[inline(always)]
    fn add_product(self, left: [u32; 16], right: [u32; 16], sums: [f32; 16]) -> [f32; 16] {
        // SAFETY: whoever has a `Pairs` runs where the instruction is, and all these are 512 bits of plain numbers.
        unsafe {
            let [left, right] =
                [left, right].map(|x| std::mem::transmute::<[u32; 16], __m512bh>(x));
            let sums = std::mem::transmute::<[f32; 16], __m512>(sums);
            std::mem::transmute::<__m512, [f32; 16]>(_mm512_dpbf16_ps(sums, left, right))
        }
    }

    #[inline(always)]
    fn add(self, mut a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }
}
