//! Adafactor as it trains large vision transformers (arXiv 2106.04560, section 3.2; big_vision's `scale_by_adafactor`).
//! For update s, with d = min(β₂, 1 − s^−0.8) and q = g² + 10⁻³⁰, a matrix of at least 32 × 32 keeps only means,
//!
//! r_i ← d r_i + (1 − d) mean_j q_ij,  c_j ← d c_j + (1 − d) mean_i q_ij,  v_ij = r_i c_j / mean(r),
//!
//! and everything else keeps v ← d v + (1 − d) q itself. Then u = g / √v and the direction is the momentum of it,
//! m ← β₁m + (1 − β₁)u. Neither is corrected for its start: d begins at 0, and m grows into its size.
//!
//! Three differences from big_vision: m is f32 and not bf16; matrices are those of our layers, so a projection of
//! attention is one matrix and not one a head; and β₂, the cap, is 0.95 where big_vision's default is 0.999. What Adafactor
//! had besides (updates clipped by their own size and scaled by their weights') is left out there, and here.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::tensors::{Change, part, put};
use super::{OptimConfig, Optimiser, SecondMoment, StateVector, Stretch};
use crate::train::device::{host, read, take, vector};
use crate::train::model::params::Layout;
use crate::train::simd::{self, Kernel};

/// Matrices whose smaller side is shorter keep their second moment whole.
const LEAST_FACTORED: usize = 32;
const EPS: f64 = 1e-30;
/// Of s in the decay of the second moment.
const EXPONENT: f64 = 0.8;

#[derive(Debug)]
pub struct Adafactor {
    beta1: f64,
    most_kept: f64,
    places: Vec<Place>,
    m: StateVector,
    /// The whole second moment, where it is not factored.
    v: StateVector,
    /// Mean over outputs, one an input.
    rows: StateVector,
    /// Mean over inputs, one an output.
    columns: StateVector,
}

/// Where one parameter's second moment lies.
#[derive(Clone, Debug)]
struct Place {
    /// Of the parameter, in the flat vector.
    range: Range<usize>,
    second: Second,
}

#[derive(Clone, Debug)]
enum Second {
    /// In `v`.
    Whole(Range<usize>),
    /// In `rows` and `columns`.
    Factored(Range<usize>, Range<usize>),
}

impl Adafactor {
    pub fn new(config: &OptimConfig, layout: &Layout, device: &Device) -> Self {
        let is_factored =
            |shape: &[usize]| matches!(shape, [a, b] if (*a).min(*b) >= LEAST_FACTORED);
        let vector = |name, shape_of: &dyn Fn(&[usize]) -> Option<Vec<usize>>| {
            let entries = layout.entries().iter();
            let parameters =
                entries.filter_map(|entry| Some((&entry.name[..], shape_of(&entry.shape)?)));
            StateVector::of(name, parameters, device)
        };
        let v = vector("v", &|shape| (!is_factored(shape)).then(|| shape.to_vec()));
        let rows = vector("v_rows", &|shape| {
            is_factored(shape).then(|| vec![shape[0]])
        });
        let columns = vector("v_columns", &|shape| {
            is_factored(shape).then(|| vec![shape[1]])
        });
        let (mut whole, mut factored) = (
            v.pieces.iter(),
            rows.pieces.iter().zip(columns.pieces.iter()),
        );
        let every = "each parameter has a second moment";
        let places = layout.entries().iter().map(|entry| Place {
            range: entry.range.clone(),
            second: if is_factored(&entry.shape) {
                let (rows, columns) = factored.next().expect(every);
                Second::Factored(rows.range.clone(), columns.range.clone())
            } else {
                Second::Whole(whole.next().expect(every).range.clone())
            },
        });
        Self {
            beta1: config.beta1,
            most_kept: config.beta2,
            places: places.collect(),
            m: StateVector::like("m", layout, device),
            v,
            rows,
            columns,
        }
    }

    /// d of the header, in update `step`.
    fn kept(&self, step: u64) -> f64 {
        self.most_kept.min(1.0 - (step as f64).powf(-EXPONENT))
    }

    /// What moves, with the stretch that says how.
    fn moving<'a>(
        places: &'a [Place],
        stretches: &'a [Stretch],
    ) -> impl Iterator<Item = (&'a Place, &'a Stretch)> {
        places.iter().filter_map(|place| {
            let has = |stretch: &&Stretch| stretch.range.contains(&place.range.start);
            Some((place, stretches.iter().find(has)?))
        })
    }
}

impl Optimiser for Adafactor {
    /// Two passes over a matrix, one over the rest.
    fn sweep(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        let device = flat.device();
        let [mut w, mut m, mut v, mut rows, mut columns] = [
            &mut *flat,
            &mut self.m.values,
            &mut self.v.values,
            &mut self.rows.values,
            &mut self.columns.values,
        ]
        .map(take);
        let squares = read(gradient, |g| {
            let each = Self::moving(&self.places, stretches).map(|(place, stretch)| {
                let kept = self.kept(stretch.step);
                let rates = Rates {
                    clip: clip as f32,
                    kept: [self.beta1, kept].map(|x| x as f32),
                    added: [1.0 - self.beta1, 1.0 - kept].map(|x| x as f32),
                    lr: stretch.lr as f32,
                    decay: stretch.decay as f32,
                };
                let at = place.range.clone();
                let weights = Weights {
                    w: &mut w[at.clone()],
                    m: &mut m[at.clone()],
                    g: &g[at],
                };
                match &place.second {
                    Second::Whole(at) => whole(rates, weights, &mut v[at.clone()]),
                    Second::Factored(r, c) => {
                        let (rows, columns) = (&mut rows[r.clone()], &mut columns[c.clone()]);
                        factored(rates, weights, rows, columns)
                    }
                }
            });
            each.sum::<f64>()
        });
        [
            *flat,
            self.m.values,
            self.v.values,
            self.rows.values,
            self.columns.values,
        ] = [w, m, v, rows, columns].map(|x| vector(x, &device));
        squares.sqrt()
    }

    fn on_tensors(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        let mut change = Change::of(flat);
        let places = std::mem::take(&mut self.places);
        for (place, stretch) in Self::moving(&places, stretches) {
            let kept = self.kept(stretch.step);
            let mix =
                |old: Tensor<1>, new: Tensor<1>| old.mul_scalar(kept) + new.mul_scalar(1.0 - kept);
            let g = part(gradient, &place.range).mul_scalar(clip);
            let square = g.clone().square().add_scalar(EPS);
            let scaled = match &place.second {
                Second::Whole(at) => {
                    let v = mix(part(&self.v.values, at), square);
                    put(&mut self.v.values, at, v.clone());
                    g / v.sqrt()
                }
                Second::Factored(r, c) => {
                    let shape = [r.len(), c.len()];
                    let square = square.reshape(shape);
                    let rows = mix(
                        part(&self.rows.values, r),
                        square.clone().mean_dim(1).reshape([r.len()]),
                    );
                    let columns = mix(
                        part(&self.columns.values, c),
                        square.mean_dim(0).reshape([c.len()]),
                    );
                    put(&mut self.rows.values, r, rows.clone());
                    put(&mut self.columns.values, c, columns.clone());
                    let rows = (rows.clone() / rows.mean()).sqrt().reshape([r.len(), 1]);
                    let columns = columns.sqrt().reshape([1, c.len()]);
                    (g.reshape(shape) / rows / columns).reshape([place.range.len()])
                }
            };
            let m = part(&self.m.values, &place.range).mul_scalar(self.beta1)
                + scaled.mul_scalar(1.0 - self.beta1);
            put(&mut self.m.values, &place.range, m.clone());
            change.along(m, &place.range, stretch, flat);
        }
        self.places = places;
        change.make(flat)
    }

    fn state(&self) -> Vec<&StateVector> {
        vec![&self.m, &self.v, &self.rows, &self.columns]
    }

    fn state_mut(&mut self) -> Vec<&mut StateVector> {
        vec![&mut self.m, &mut self.v, &mut self.rows, &mut self.columns]
    }

    /// The factors multiplied out.
    fn second_moment(&self) -> Option<SecondMoment> {
        let device = self.m.values.device();
        let [whole, rows, columns] =
            [&self.v, &self.rows, &self.columns].map(|vector| host(vector.values.clone()));
        let length = self.places.last().map_or(0, |place| place.range.end);
        let mut v = Vec::with_capacity(length);
        for place in &self.places {
            match &place.second {
                Second::Whole(at) => v.extend_from_slice(&whole[at.clone()]),
                Second::Factored(r, c) => {
                    let (rows, columns) = (&rows[r.clone()], &columns[c.clone()]);
                    let mean = mean(rows);
                    for r in rows {
                        // What never had a gradient has 0 / 0.
                        let share = if mean > 0.0 { r / mean } else { 0.0 };
                        v.extend(columns.iter().map(|c| share * c));
                    }
                }
            }
        }
        Some(SecondMoment {
            v: vector(v, &device),
            beta2: 0.0,
            eps: EPS.sqrt(),
        })
    }
}

/// The numbers of an update that one parameter's weights share.
#[derive(Clone, Copy)]
struct Rates {
    clip: f32,
    /// Of the momentum, of the second moment.
    kept: [f32; 2],
    added: [f32; 2],
    lr: f32,
    decay: f32,
}

impl Rates {
    /// The change of a weight and its momentum, when its gradient over the root of the second moment is `u`.
    #[inline(always)]
    fn step(self, w: f32, m: f32, u: f32) -> (f32, f32) {
        let m = m * self.kept[0] + u * self.added[0];
        (m * self.lr + w * self.decay, m)
    }
}

/// One parameter, or some rows of it.
struct Weights<'a> {
    w: &'a mut [f32],
    m: &'a mut [f32],
    g: &'a [f32],
}

/// Rows of a task; sums over columns do not depend on the number of threads.
const ROWS: usize = 64;

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64) as f32
}

/// Update a parameter with a second moment for each of its weights; the squared norm of its change.
fn whole(rates: Rates, weights: Weights, v: &mut [f32]) -> f64 {
    let Weights { w, m, g } = weights;
    let mut square = 0.0;
    for (((w, m), g), v) in w.iter_mut().zip(m).zip(g).zip(v) {
        let g = g * rates.clip;
        *v = *v * rates.kept[1] + (g * g + EPS as f32) * rates.added[1];
        let (change, momentum) = rates.step(*w, *m, g / v.sqrt());
        *m = momentum;
        *w -= change;
        square += f64::from(change).powi(2);
    }
    square
}

/// Update a matrix; the squared norm of its change.
fn factored(rates: Rates, weights: Weights, rows: &mut [f32], columns: &mut [f32]) -> f64 {
    let width = columns.len();
    let block = ROWS * width;
    let partials: Vec<Vec<f32>> = weights
        .g
        .par_chunks(block)
        .zip(rows.par_chunks_mut(ROWS))
        .map(|(g, rows)| {
            let mut sums = vec![0.0; width];
            simd::run(Means {
                rates,
                g,
                rows,
                columns: &mut sums,
            });
            sums
        })
        .collect();
    let height = rows.len() as f64;
    for (j, column) in columns.iter_mut().enumerate() {
        let sum: f64 = partials.iter().map(|sums| f64::from(sums[j])).sum();
        *column = *column * rates.kept[1] + (sum / height) as f32 * rates.added[1];
    }
    let mean = mean(rows);
    let inverse: Vec<f32> = columns.iter().map(|c| 1.0 / c.sqrt()).collect();
    let squares: Vec<f64> = weights
        .w
        .par_chunks_mut(block)
        .zip(weights.m.par_chunks_mut(block))
        .zip(weights.g.par_chunks(block))
        .zip(rows.par_chunks(ROWS))
        .map(|(((w, m), g), rows)| {
            let mut square = 0.0;
            simd::run(Move {
                rates,
                weights: Weights { w, m, g },
                rows,
                mean,
                inverse: &inverse,
                square: &mut square,
            });
            square
        })
        .collect();
    squares.into_iter().sum()
}

/// The second moments of some rows of a matrix, and what they add to those of its columns.
struct Means<'a> {
    rates: Rates,
    g: &'a [f32],
    rows: &'a mut [f32],
    /// Sums of squares.
    columns: &'a mut [f32],
}

impl Kernel for Means<'_> {
    #[inline(always)]
    fn run(self) {
        let (rates, width) = (self.rates, self.columns.len());
        for (row, g) in self.rows.iter_mut().zip(self.g.chunks_exact(width)) {
            let square = |g: f32| {
                let g = g * rates.clip;
                g * g + EPS as f32
            };
            let mean = simd::sum(g, square) / width as f32;
            *row = *row * rates.kept[1] + mean * rates.added[1];
            for (column, g) in self.columns.iter_mut().zip(g) {
                *column += square(*g);
            }
        }
    }
}

/// The update of some rows of a matrix.
struct Move<'a> {
    rates: Rates,
    weights: Weights<'a>,
    rows: &'a [f32],
    /// Of all rows' second moments.
    mean: f32,
    /// One over the root of each column's.
    inverse: &'a [f32],
    square: &'a mut f64,
}

impl Kernel for Move<'_> {
    #[inline(always)]
    fn run(self) {
        let (rates, width) = (self.rates, self.inverse.len());
        let Weights { w, m, g } = self.weights;
        let rows = w
            .chunks_exact_mut(width)
            .zip(m.chunks_exact_mut(width))
            .zip(g.chunks_exact(width));
        let mut changes = vec![0.0; width];
        for (((w, m), g), row) in rows.zip(self.rows) {
            let scale = rates.clip / (row / self.mean).sqrt();
            let each = w.iter_mut().zip(m).zip(g).zip(self.inverse);
            for ((((w, m), g), inverse), change) in each.zip(&mut changes) {
                let (by, momentum) = rates.step(*w, *m, g * scale * inverse);
                (*w, *m, *change) = (*w - by, momentum, by);
            }
            *self.square += f64::from(simd::sum(&changes, |change| change * change));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{agree_on_tensors, config};
    use super::*;
    use crate::train::device::tested;
    use crate::train::optim::OptimKind;

    #[test]
    fn a_device_with_its_own_memory_gets_the_same_updates() {
        agree_on_tensors(
            &config(OptimKind::Adafactor),
            Adafactor::new,
            Adafactor::sweep,
            Adafactor::on_tensors,
        );
    }

    /// A vector remembers all of its second moment, a matrix one number a row and one a column.
    #[test]
    fn a_matrix_is_remembered_by_its_edges() {
        let layout = Layout::of_shapes([
            ("text.a.weight", vec![32, 40]),
            ("text.b.weight", vec![31, 40]),
        ]);
        let adafactor = Adafactor::new(&config(OptimKind::Adafactor), &layout, &tested());
        let shapes: Vec<_> = adafactor.state()[1..]
            .iter()
            .map(|vector| {
                (
                    vector.name,
                    vector.pieces[0].shape.clone(),
                    vector.pieces.len(),
                )
            })
            .collect();
        assert_eq!(
            shapes,
            [
                ("v", vec![31, 40], 1),
                ("v_rows", vec![32], 1),
                ("v_columns", vec![40], 1)
            ]
        );
    }

    #[test]
    fn the_second_moment_begins_with_nothing_and_keeps_at_most_beta2() {
        let layout = Layout::of_shapes([("bias", vec![1])]);
        let adafactor = Adafactor::new(&OptimConfig::default(), &layout, &tested());
        assert_eq!(adafactor.kept(1), 0.0);
        assert!((adafactor.kept(10) - (1.0 - 10_f64.powf(-0.8))).abs() < 1e-12);
        // 1 - s^-0.8 passes 0.95 between updates 42 and 43.
        assert!(adafactor.kept(42) < 0.95);
        assert_eq!(adafactor.kept(43), 0.95);
    }
}
