//! L-BFGS (Nocedal and Wright, algorithms 7.4 and 7.5) for smooth convex functions whose value and gradient come together,
//! with a step that is halved until the value falls enough. On such functions it needs no more than that: where the
//! gradient changes too little along a step for the pair to say anything of the curvature, the pair is left out.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 10;
/// Share of the fall that the slope promises which a step must bring.
const ENOUGH: f64 = 1e-4;
/// Halvings of a step that still finds no lower value: what is left is rounding.
const MOST_HALVINGS: usize = 40;

/// Where `function` is least, from `start` on: the first place where the L2 norm of its gradient is at most `tolerance`, or
/// the lowest found in `most` steps. `function` gives value and gradient.
pub fn minimise(
    function: impl Fn(&[f64]) -> (f64, Vec<f64>),
    start: Vec<f64>,
    tolerance: f64,
    most: usize,
) -> Vec<f64> {
    let mut at = start;
    let (mut value, mut gradient) = function(&at);
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    for _ in 0..most {
        let length = dot(&gradient, &gradient).sqrt();
        if length <= tolerance || length.is_nan() {
            break;
        }
        let direction = direction(&pairs, &gradient);
        let slope = dot(&direction, &gradient);
        // Without a pair nothing is known of the scale: the first step is of length 1 at most.
        let mut size = if pairs.is_empty() {
            1.0 / length.max(1.0)
        } else {
            1.0
        };
        let mut halvings = 0;
        let (next, lower, there) = loop {
            let next: Vec<f64> = at
                .iter()
                .zip(&direction)
                .map(|(x, d)| x + size * d)
                .collect();
            let (lower, there) = function(&next);
            if lower <= value + ENOUGH * size * slope {
                break (next, lower, there);
            }
            halvings += 1;
            if halvings > MOST_HALVINGS {
                return at;
            }
            size /= 2.0;
        };
        let pair = Pair::new(difference(&next, &at), difference(&there, &gradient));
        if let Some(pair) = pair {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(pair);
        }
        // Where no step changes the value any more, rounding is all that is left.
        let is_level = lower == value;
        (at, value, gradient) = (next, lower, there);
        if is_level {
            break;
        }
    }
    at
}

/// A step, and what it changed of the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// One over their product.
    inverse: f64,
}

impl Pair {
    /// None where the two say nothing of the curvature.
    fn new(step: Vec<f64>, change: Vec<f64>) -> Option<Self> {
        let product = dot(&step, &change);
        (product > 1e-12 * dot(&change, &change)).then(|| Self {
            step,
            change,
            inverse: 1.0 / product,
        })
    }
}

/// Minus the gradient times what the pairs say of the inverse of the second derivative.
fn direction(pairs: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = pair.inverse * dot(&pair.step, &direction);
        add(&mut direction, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.inverse * dot(&last.change, &last.change));
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let back = pair.inverse * dot(&pair.change, &direction);
        add(&mut direction, share - back, &pair.step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `to` + `times` · `what`.
fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, x)| *to += times * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_of_any_shape_is_solved() {
        // Curvatures from 1 to 10,000.
        let curvature = |i: usize| 10_f64.powf(i as f64 / 5.0);
        let function = |x: &[f64]| {
            let value = x
                .iter()
                .enumerate()
                .map(|(i, x)| 0.5 * curvature(i) * (x - 1.0).powi(2));
            let gradient = x.iter().enumerate().map(|(i, x)| curvature(i) * (x - 1.0));
            (value.sum(), gradient.collect())
        };
        let found = minimise(function, vec![0.0; 21], 1e-9, 1_000);
        assert!(found.iter().all(|x| (x - 1.0).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn it_ends_where_it_is_told_to() {
        let steps = std::cell::Cell::new(0);
        let function = |x: &[f64]| {
            steps.set(steps.get() + 1);
            (x[0].exp() - x[0], vec![x[0].exp() - 1.0])
        };
        let found = minimise(function, vec![3.0], 1e-6, 100);
        assert!(
            found[0].abs() < 1e-6 && steps.get() < 30,
            "{found:?} {steps:?}"
        );
        assert_eq!(minimise(function, vec![3.0], 1e-6, 0), [3.0]);
        let nan = |_: &[f64]| (f64::NAN, vec![f64::NAN]);
        assert_eq!(minimise(nan, vec![0.5], 1e-6, 100), [0.5]);
    }
}
