//! Both sides of products as the loops read them, for the way that they are multiplied.

use super::kernel::Side;
use super::{Left, Matrix, Precision, Way};
use crate::train::simd::{self, Kernel};
use crate::train::words::to_bf16;
#[cfg(target_arch = "x86_64")]
use crate::train::words::{self, Part, Words, amx};

pub use crate::train::words::PANEL;

/// The right side of products. Its lines are `[⌈columns / 32⌉, depth, 32]`, what is missing zero.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    way: Way,
    depth: usize,
    columns: usize,
    values: Vec<[f32; PANEL]>,
    #[cfg(target_arch = "x86_64")]
    pairs: Vec<Words>,
    #[cfg(target_arch = "x86_64")]
    tiles: amx::Side,
    #[cfg(target_arch = "x86_64")]
    scratch: Vec<Words>,
}

/// What was packed.
pub enum Packed<'a> {
    Values {
        lines: &'a [[f32; PANEL]],
        rounded: bool,
    },
    #[cfg(target_arch = "x86_64")]
    Pairs(&'a [[u32; PANEL]]),
    #[cfg(target_arch = "x86_64")]
    Tiles(&'a amx::Side),
}

impl Panels {
    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn packed(&self) -> Packed<'_> {
        match self.way {
            #[cfg(target_arch = "x86_64")]
            Way::Pairs => {
                let lines = self.columns.div_ceil(PANEL) * self.depth.div_ceil(2);
                Packed::Pairs(&words::words(&self.pairs).as_chunks().0[..lines])
            }
            #[cfg(target_arch = "x86_64")]
            Way::Tiles => Packed::Tiles(&self.tiles),
            way => Packed::Values {
                lines: &self.values,
                rounded: way == Way::Rounded,
            },
        }
    }

    /// Be `right`, sums down its rows.
    pub fn pack(&mut self, right: Matrix, precision: Precision) -> &Self {
        self.pack_for(Way::of(precision), right)
    }

    /// Be the transpose of `right`: sums along its rows.
    pub fn pack_transposed(&mut self, right: Matrix, precision: Precision) -> &Self {
        self.pack_transposed_for(Way::of(precision), right)
    }

    pub(super) fn pack_for(&mut self, way: Way, right: Matrix) -> &Self {
        (self.way, self.depth, self.columns) = (way, right.rows, right.columns);
        match way {
            #[cfg(target_arch = "x86_64")]
            Way::Pairs => {
                let depth = right.rows.div_ceil(2);
                let count = self.columns.next_multiple_of(PANEL) * depth;
                let panels = words::words_mut(&mut self.pairs, count);
                words::write_panels_down_rows(Part::High, right, depth, panels);
            }
            #[cfg(target_arch = "x86_64")]
            Way::Tiles => self.tiles.pack_right(Part::High, right),
            _ => self.pack_values(right),
        }
        self
    }

    pub(super) fn pack_transposed_for(&mut self, way: Way, right: Matrix) -> &Self {
        (self.way, self.depth, self.columns) = (way, right.columns, right.rows);
        match way {
            #[cfg(target_arch = "x86_64")]
            Way::Pairs => {
                let depth = right.columns.div_ceil(2);
                let count = self.columns.next_multiple_of(PANEL) * depth;
                let panels = words::words_mut(&mut self.pairs, count);
                let scratch = &mut self.scratch;
                words::write_transposed_panels(Part::High, right, depth, scratch, panels);
            }
            #[cfg(target_arch = "x86_64")]
            Way::Tiles => {
                let scratch = &mut self.scratch;
                self.tiles.pack_transposed_right(Part::High, right, scratch);
            }
            _ => self.pack_transposed_values(right),
        }
        self
    }

    fn pack_values(&mut self, right: Matrix) {
        for (index, panel) in self.empty().enumerate() {
            let first = index * PANEL;
            let count = PANEL.min(right.columns - first);
            for (row, line) in panel.iter_mut().enumerate() {
                let from = &right.row(row)[first..][..count];
                match from.try_into() {
                    Ok(whole) => *line = whole,
                    Err(_) => {
                        line[..count].copy_from_slice(from);
                        line[count..].fill(0.0);
                    }
                }
            }
        }
        self.round();
    }

    fn pack_transposed_values(&mut self, right: Matrix) {
        for (index, panel) in self.empty().enumerate() {
            let first = index * PANEL;
            let count = PANEL.min(right.rows - first);
            for lane in 0..count {
                for (line, value) in panel.iter_mut().zip(right.row(first + lane)) {
                    line[lane] = *value;
                }
            }
            for line in panel.iter_mut() {
                line[count..].fill(0.0);
            }
        }
        self.round();
    }

    /// Panels of whatever was there.
    fn empty(&mut self) -> impl Iterator<Item = &mut [[f32; PANEL]]> {
        let lines = self.depth * self.columns.div_ceil(PANEL);
        self.values.resize(lines, [0.0; PANEL]);
        self.values.chunks_exact_mut(self.depth.max(1))
    }

    fn round(&mut self) {
        if self.way == Way::Rounded {
            simd::run(Round(self.values.as_flattened_mut()));
        }
    }
}

/// Room for a left side that is rounded.
#[derive(Default)]
pub struct Room {
    values: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    pairs: Vec<Words>,
    #[cfg(target_arch = "x86_64")]
    tiles: amx::Side,
}

impl Room {
    /// The left side with every value rounded.
    pub fn round<'a>(&'a mut self, left: Left) -> Side<'a, f32> {
        let (Left::Plain(m) | Left::Transposed(m)) = left;
        self.values.clear();
        for row in 0..m.rows {
            self.values.extend_from_slice(m.row(row));
        }
        simd::run(Round(&mut self.values));
        let rounded = Matrix::new(&self.values, m.columns);
        match left {
            Left::Plain(_) => Left::Plain(rounded).into(),
            Left::Transposed(_) => Left::Transposed(rounded).into(),
        }
    }

    /// The left side in pairs along the sums, what is missing zero.
    #[cfg(target_arch = "x86_64")]
    pub fn pair<'a>(&'a mut self, left: Left<'a>) -> Side<'a, u32> {
        let rows = left.rows();
        match left {
            Left::Plain(m) => {
                let (words, stride) = words::along_rows(Part::High, m, &mut self.pairs);
                Side::along(words, rows, stride)
            }
            Left::Transposed(m) => {
                let (words, stride) = words::down_rows(Part::High, m, &mut self.pairs);
                Side::down(words, rows, stride)
            }
        }
    }

    /// The left side in tiles.
    #[cfg(target_arch = "x86_64")]
    pub fn tile(&mut self, left: Left) -> &amx::Side {
        match left {
            Left::Plain(m) => self.tiles.pack_left(Part::High, m),
            Left::Transposed(m) => {
                let scratch = &mut self.pairs;
                self.tiles.pack_transposed_left(Part::High, m, scratch);
            }
        }
        &self.tiles
    }
}

/// In place.
struct Round<'a>(&'a mut [f32]);

impl Kernel for Round<'_> {
    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = to_bf16(*x);
        }
    }
}
