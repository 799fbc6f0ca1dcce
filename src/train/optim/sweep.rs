//! One pass over weights, gradient and an optimiser's state where they lie, on all threads, in vectors as wide as the
//! processor has. Every sum has one order, whatever the threads: blocks of a fixed length, and in a block sixteen lanes.

use std::ops::Range;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::train::device::{is_host, read};
use crate::train::simd::{self, Kernel};

/// Numbers of a task. Short enough for sums of a lane in f32, long enough that handing it out costs nothing.
const BLOCK: usize = 8192;
const LANES: usize = 16;

/// What an optimiser does to one weight, given N numbers that it remembers of it.
pub trait Rule<const N: usize>: Copy + Send + Sync {
    /// How much the weight `w` with gradient `g` goes down, and what is remembered from now on. Implementations are
    /// `#[inline(always)]`.
    fn step(&self, w: f32, g: f32, state: [f32; N]) -> (f32, [f32; N]);
}

/// Follow the rule of each range, which are in order, through `weights`; all slices are of one length. Returns the norm of
/// the change.
pub fn sweep<const N: usize, R: Rule<N>>(
    rules: &[(Range<usize>, R)],
    weights: &mut [f32],
    state: [&mut [f32]; N],
    gradient: &[f32],
) -> f64 {
    let mut tasks = Vec::with_capacity(weights.len() / BLOCK + rules.len());
    let (mut weights, mut state, mut at) = (weights, state, 0);
    for (range, rule) in rules {
        skip(&mut weights, range.start - at);
        state.iter_mut().for_each(|s| skip(s, range.start - at));
        at = range.start;
        while at < range.end {
            let length = BLOCK.min(range.end - at);
            tasks.push(Task {
                rule: *rule,
                weights: take(&mut weights, length),
                gradient: &gradient[at..at + length],
                state: state.each_mut().map(|s| take(s, length)),
                square: 0.0,
            });
            at += length;
        }
    }
    let squares: Vec<f64> = tasks
        .into_par_iter()
        .map(|mut task| {
            simd::run(&mut task);
            task.square
        })
        .collect();
    squares.into_iter().sum::<f64>().sqrt()
}

fn take<'a>(slice: &mut &'a mut [f32], length: usize) -> &'a mut [f32] {
    slice
        .split_off_mut(..length)
        .expect("all vectors are as long as the weights")
}

fn skip(slice: &mut &mut [f32], length: usize) {
    take(slice, length);
}

/// A block that follows one rule.
struct Task<'a, const N: usize, R> {
    rule: R,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    state: [&'a mut [f32]; N],
    /// Of the norm of the change.
    square: f64,
}

impl<const N: usize, R: Rule<N>> Kernel for &mut Task<'_, N, R> {
    #[inline(always)]
    fn run(self) {
        let rule = self.rule;
        let mut lanes = [0.0; LANES];
        let (weights, weights_rest) = self.weights.as_chunks_mut::<LANES>();
        let (gradients, gradients_rest) = self.gradient.as_chunks::<LANES>();
        let state = self.state.each_mut().map(|s| s.as_chunks_mut::<LANES>());
        for (i, (w, g)) in weights.iter_mut().zip(gradients).enumerate() {
            let mut old = [[0.0; LANES]; N];
            for k in 0..N {
                old[k] = state[k].0[i];
            }
            let mut new = old;
            for lane in 0..LANES {
                let mut known = [0.0; N];
                for k in 0..N {
                    known[k] = old[k][lane];
                }
                let (change, known) = rule.step(w[lane], g[lane], known);
                for k in 0..N {
                    new[k][lane] = known[k];
                }
                w[lane] -= change;
                lanes[lane] += change * change;
            }
            for k in 0..N {
                state[k].0[i] = new[k];
            }
        }
        for (i, (w, g)) in weights_rest.iter_mut().zip(gradients_rest).enumerate() {
            let mut known = [0.0; N];
            for k in 0..N {
                known[k] = state[k].1[i];
            }
            let (change, known) = rule.step(*w, *g, known);
            for k in 0..N {
                state[k].1[i] = known[k];
            }
            *w -= change;
            lanes[i] += change * change;
        }
        self.square = lanes.iter().map(|&lane| f64::from(lane)).sum();
    }
}

/// L2 norm.
pub fn norm(vector: &Tensor<1>) -> f64 {
    if !is_host(&vector.device()) {
        return f64::from(vector.clone().square().sum().into_scalar::<f32>()).sqrt();
    }
    let squares: Vec<f64> = read(vector, |values| {
        let blocks = values.par_chunks(BLOCK).map(|values| {
            let mut square = 0.0;
            let square_of = SquareOf {
                values,
                square: &mut square,
            };
            simd::run(square_of);
            square
        });
        blocks.collect()
    });
    squares.into_iter().sum::<f64>().sqrt()
}

struct SquareOf<'a> {
    values: &'a [f32],
    square: &'a mut f64,
}

impl Kernel for SquareOf<'_> {
    #[inline(always)]
    fn run(self) {
        *self.square = f64::from(simd::sum(self.values, |x| x * x));
    }
}
