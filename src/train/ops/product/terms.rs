//! A sum of many products, as gradients of weights are: where tiles are multiplied, a few products wait for each other,
//! for the sums would otherwise pass through memory once for each.

use super::{Left, Matrix, Panels, Precision, Room, Sums, multiply};
#[cfg(target_arch = "x86_64")]
use super::{Way, amx};
#[cfg(target_arch = "x86_64")]
use crate::train::words::{Part, Words};

/// Products that wait to be added to a sum.
#[derive(Default)]
pub struct Terms {
    #[cfg(target_arch = "x86_64")]
    waiting: Vec<(amx::Side, amx::Side)>,
    /// As many of them; the rest are memory.
    #[cfg(target_arch = "x86_64")]
    count: usize,
}

/// What forming products needs for a while.
#[derive(Default)]
pub struct Scratch {
    pub room: Room,
    panels: Panels,
    #[cfg(target_arch = "x86_64")]
    words: Vec<Words>,
}

/// Products that wait at most. They stay in the second cache with the sums that they meet.
#[cfg(target_arch = "x86_64")]
const MOST: usize = 8;

impl Terms {
    /// `sums[i, j] += Σ_k left[k, i] · right[k, j]`, now or when the sums are [settled](Self::settle).
    pub fn add(
        &mut self,
        left: Matrix,
        right: Matrix,
        precision: Precision,
        sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        #[cfg(target_arch = "x86_64")]
        if Way::of(precision) == Way::Tiles {
            if self.count == self.waiting.len() {
                self.waiting.push(Default::default());
            }
            let (a, b) = &mut self.waiting[self.count];
            a.pack_transposed_left(Part::High, left, &mut scratch.words);
            b.pack_right(Part::High, right);
            self.count += 1;
            if self.count == MOST {
                self.settle(sums, right.columns);
            }
            return;
        }
        let panels = scratch.panels.pack(right, precision);
        let sums = Sums::added_to(sums, right.columns);
        multiply(
            Left::Transposed(left),
            panels,
            None,
            sums,
            &mut scratch.room,
        );
    }

    /// Add what waits to the sums, rows of `columns`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    pub fn settle(&mut self, sums: &mut [f32], columns: usize) {
        #[cfg(target_arch = "x86_64")]
        if self.count > 0 {
            let waiting = self.waiting[..self.count].iter();
            let terms: Vec<_> = waiting.map(|(a, b)| (a, b)).collect();
            let sums = Sums::added_to(sums, columns);
            amx::multiply(&mut amx::registers(), &terms, None, sums);
            self.count = 0;
        }
    }
}
