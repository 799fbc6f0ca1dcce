//! Linear probe: how well a linear map tells classes apart by embeddings that stay as they are. A multinomial logistic
//! regression is fitted to pictures of the training part. Its penalty is one of nine, C = 10⁻² to 10⁶, the one with the
//! most hits on each fifth of these pictures after a fit to the rest (of equals the strongest); then it is fitted to all.

mod lbfgs;
mod logistic;

use super::Labelled;
use super::hits::Hits;
use logistic::Rows;

/// What the classes of `asked` come out as after a fit to `bank`, and the C that was chosen.
///
/// # Errors
/// Embeddings that are not finite.
pub fn run(bank: &Labelled, asked: &Labelled, held_out: &[bool]) -> anyhow::Result<(Hits, f64)> {
    let fit = |bank: &Labelled, c| {
        let rows = Rows::new(&bank.embeddings, &bank.labels, held_out.len());
        rows.fit(c)
    };
    let hits = |c: f64, bank: &Labelled, asked: &Labelled| -> anyhow::Result<Hits> {
        let count = asked.labels.len();
        let scores = fit(bank, c)?.scores(&asked.embeddings, count);
        let mut hits = Hits::new(held_out.to_vec());
        for (scores, label) in scores.chunks_exact(held_out.len()).zip(&asked.labels) {
            hits.add(scores, *label);
        }
        Ok(hits)
    };
    let (rest, fifth) = bank.part(|at| at % 5 == 4);
    let mut best = (0, 1.0);
    if !fifth.labels.is_empty() {
        best.1 = penalties().next().expect("there are penalties");
        for c in penalties() {
            let found = hits(c, &rest, &fifth)?.top1().hits;
            if found > best.0 {
                best = (found, c);
            }
        }
    }
    Ok((hits(best.1, bank, asked)?, best.1))
}

/// The strongest first.
fn penalties() -> impl Iterator<Item = f64> {
    (-2..=6).map(|power| 10_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on a circle, each class an arc of it.
    fn arcs(count: usize, shift: f64) -> Labelled {
        let (mut embeddings, mut labels) = (Vec::new(), Vec::new());
        for i in 0..count {
            let turn = (i as f64 * 0.618 + shift).fract();
            let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
            embeddings.extend([cos as f32, sin as f32]);
            labels.push((turn * 4.0) as usize);
        }
        Labelled { embeddings, labels }
    }

    #[test]
    fn arcs_of_a_circle_are_told_apart() {
        let (hits, c) = run(&arcs(200, 0.0), &arcs(80, 0.003), &[false; 4]).unwrap();
        assert!(hits.top1().share().unwrap() > 0.9, "{hits:?}");
        // The strongest penalties leave nothing of the weights.
        assert!(c >= 0.1, "{c}");
    }

    #[test]
    fn a_bank_too_small_to_split_is_fitted_all_the_same() {
        let (hits, c) = run(&arcs(4, 0.0), &arcs(8, 0.0), &[false; 4]).unwrap();
        assert_eq!((hits.top1().trials, c), (8, 1.0));
    }
}
