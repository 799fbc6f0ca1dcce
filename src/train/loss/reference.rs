//! The contrastive losses as their equations say, over the whole matrix of pairs, pair by pair in f64: no tiles, no ring,
//! no shared arithmetic. Slow and of the square of the batch in memory: it is what the others are held against.

use std::collections::BTreeMap;

use super::{Draw, Keep, LossConfig, NegativesConfig, Normalisation, Positives, SigmoidConfig};

/// Embeddings `[batch, dim]` of a whole batch, and the scalars; `bias` counts as 0 where there is none.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub image: &'a [f64],
    pub text: &'a [f64],
    pub dim: usize,
    /// Class of each pair, `[batch]`, where positives are by class.
    pub classes: &'a [u32],
    pub log_t: f64,
    pub bias: f64,
    pub draw: Draw,
}

/// Sums of the magnitudes whose sums with their signs are `d_log_t` and `d_bias`: where terms cancel, they say how many
/// digits the sums can have.
pub const LOG_T_TERMS: &str = "d_log_t terms";
pub const BIAS_TERMS: &str = "d_bias terms";

/// `loss`, `d_image`, `d_text`, `d_log_t` and `d_bias`, see [`super::parity::RESULTS`], with [`LOG_T_TERMS`] and
/// [`BIAS_TERMS`].
///
/// # Panics
/// On the supervised loss, which compares no pairs.
pub fn results(config: &LossConfig, inputs: &Inputs) -> BTreeMap<&'static str, Vec<f64>> {
    match config {
        LossConfig::Sigmoid(c) => sigmoid(c, inputs),
        LossConfig::Softmax(_) => softmax(inputs),
        LossConfig::Classify(_) => panic!("the supervised loss compares no pairs"),
    }
}

impl Inputs<'_> {
    fn batch(&self) -> usize {
        self.image.len() / self.dim
    }

    /// x_i · y_j.
    fn similarity(&self, i: usize, j: usize) -> f64 {
        let x = &self.image[i * self.dim..(i + 1) * self.dim];
        let y = &self.text[j * self.dim..(j + 1) * self.dim];
        x.iter().zip(y).map(|(x, y)| x * y).sum()
    }

    /// All results, from the loss, g_ij = ∂L/∂l_ij, `[batch, batch]`, and what one logit does to the others: ∂l/∂s,
    /// ∂l/∂t' and ∂l/∂b of a pair with similarity s, and the magnitudes that ∂l/∂t' is a sum of.
    fn finish(
        &self,
        loss: f64,
        g: &[f64],
        slopes: impl Fn(f64) -> [f64; 4],
    ) -> BTreeMap<&'static str, Vec<f64>> {
        let (batch, dim) = (self.batch(), self.dim);
        let (mut d_image, mut d_text) = (vec![0.0; batch * dim], vec![0.0; batch * dim]);
        let (mut d_log_t, mut d_bias) = (0.0, 0.0);
        let (mut log_t_terms, mut bias_terms) = (0.0, 0.0);
        for i in 0..batch {
            for j in 0..batch {
                let g = g[i * batch + j];
                let [of_s, of_log_t, of_bias, terms] = slopes(self.similarity(i, j));
                d_log_t += g * of_log_t;
                d_bias += g * of_bias;
                log_t_terms += g.abs() * terms;
                bias_terms += (g * of_bias).abs();
                for k in 0..dim {
                    d_image[i * dim + k] += g * of_s * self.text[j * dim + k];
                    d_text[j * dim + k] += g * of_s * self.image[i * dim + k];
                }
            }
        }
        BTreeMap::from([
            ("loss", vec![loss]),
            ("d_image", d_image),
            ("d_text", d_text),
            ("d_log_t", vec![d_log_t]),
            ("d_bias", vec![d_bias]),
            (LOG_T_TERMS, vec![log_t_terms]),
            (BIAS_TERMS, vec![bias_terms]),
        ])
    }
}

/// L = Σ softplus(−z_ij l_ij) / divisor over the pairs that count, l_ij = t s_ij + b or t (s_ij − b).
fn sigmoid(config: &SigmoidConfig, inputs: &Inputs) -> BTreeMap<&'static str, Vec<f64>> {
    let (batch, t, b) = (inputs.batch(), inputs.log_t.exp(), inputs.bias);
    let relative = config.bias.relative;
    let count = batch as f64;
    let divisor = match config.normalisation {
        Normalisation::Batch => count,
        Normalisation::Pairs => count * count,
    };
    let counts = negatives(&config.negatives, inputs);
    let (mut loss, mut g) = (0.0, vec![0.0; batch * batch]);
    for i in 0..batch {
        for j in 0..batch {
            let positive = match config.positives {
                Positives::Pair => i == j,
                Positives::Class => inputs.classes[i] == inputs.classes[j],
            };
            if !positive && !counts[i * batch + j] {
                continue;
            }
            let s = inputs.similarity(i, j);
            let logit = if relative { t * (s - b) } else { t * s + b };
            let z = if positive { 1.0 } else { -1.0 };
            let x = -z * logit;
            loss += (x.max(0.0) + (-x.abs()).exp().ln_1p()) / divisor;
            g[i * batch + j] = -z / (1.0 + (-x).exp()) / divisor;
        }
    }
    inputs.finish(loss, &g, |s| {
        if relative {
            [t, t * (s - b), -t, t * (s.abs() + b.abs())]
        } else {
            [t, t * s, 1.0, t * s.abs()]
        }
    })
}

/// L = (1/2B) Σ_i (R_i + C_i − 2 l_ii), R and C the log-sum-exps of rows and columns of l_ij = t s_ij. With N that of the
/// others alone, R_i − l_ii = softplus(N_i − l_ii), which keeps its digits where l_ii is far above all others.
fn softmax(inputs: &Inputs) -> BTreeMap<&'static str, Vec<f64>> {
    let (batch, t) = (inputs.batch(), inputs.log_t.exp());
    let logit = |i, j| t * inputs.similarity(i, j);
    let log_sum_exp = |logits: &[f64]| {
        let most = logits
            .iter()
            .fold(f64::NEG_INFINITY, |most, l| most.max(*l));
        let sum: f64 = logits.iter().map(|l| (l - most).exp()).sum();
        if sum > 0.0 { most + sum.ln() } else { most }
    };
    let others = |i: usize| (0..batch).filter(move |j| *j != i);
    let rows: Vec<Vec<f64>> = (0..batch)
        .map(|i| others(i).map(|j| logit(i, j)).collect())
        .collect();
    let columns: Vec<Vec<f64>> = (0..batch)
        .map(|j| others(j).map(|i| logit(i, j)).collect())
        .collect();
    let total = 2.0 * batch as f64;
    let (mut loss, mut g) = (0.0, vec![0.0; batch * batch]);
    let (mut row_lse, mut column_lse) = (Vec::new(), Vec::new());
    for i in 0..batch {
        let own = logit(i, i);
        for (lines, lse) in [(&rows, &mut row_lse), (&columns, &mut column_lse)] {
            let x = log_sum_exp(&lines[i]) - own;
            let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
            loss += softplus / total;
            g[i * batch + i] -= 1.0 / (1.0 + (-x).exp()) / total;
            lse.push(own + softplus);
        }
    }
    for i in 0..batch {
        for j in others(i) {
            let l = logit(i, j);
            g[i * batch + j] = ((l - row_lse[i]).exp() + (l - column_lse[j]).exp()) / total;
        }
    }
    inputs.finish(loss, &g, |s| [t, t * s, 0.0, t * s.abs()])
}

/// Which negatives count, `[batch, batch]`, by sorting them all.
pub fn negatives(config: &NegativesConfig, inputs: &Inputs) -> Vec<bool> {
    let batch = inputs.batch();
    let others = batch as f64 - 1.0;
    let all = config.keep == Keep::All || config.ratio >= others;
    let seed = SplitMix64(inputs.draw.seed).next();
    let mut hashes = SplitMix64(SplitMix64(seed.wrapping_add(inputs.draw.step)).next());
    let mut counts = vec![false; batch * batch];
    let mut ranked = Vec::new();
    for i in 0..batch {
        for j in 0..batch {
            let hash = hashes.next();
            if i == j {
                continue;
            }
            let ahead = (j + batch - i) % batch;
            counts[i * batch + j] = all
                || match config.keep {
                    Keep::Random => (hash as f64) < config.ratio / others * 2.0_f64.powi(64),
                    Keep::Rolled => ahead as f64 <= config.ratio,
                    Keep::All | Keep::Hard | Keep::HardMatched | Keep::Easy => false,
                };
            ranked.push((inputs.similarity(i, j), hash, i * batch + j));
        }
    }
    let wanted = (config.ratio * batch as f64).round() as usize;
    match config.keep {
        Keep::Hard | Keep::HardMatched => ranked.sort_by(|a, b| b.partial_cmp(a).expect("numbers")),
        Keep::Easy => ranked.sort_by(|a, b| {
            let order = a.0.partial_cmp(&b.0).expect("numbers");
            order.then(b.1.cmp(&a.1))
        }),
        Keep::All | Keep::Random | Keep::Rolled => ranked.clear(),
    }
    for (_, _, place) in ranked.into_iter().take(wanted) {
        counts[place] = true;
    }
    counts
}

/// As it is published (Steele, Lea and Flood, 2014): a state that goes on.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::parity::relative_error;
    use crate::train::loss::tests::recorded;

    /// The recorded cases are of another program: what is held against this is held against something true.
    #[test]
    fn it_agrees_with_the_recorded_cases() {
        for (path, fixture) in recorded() {
            let computed = results(&fixture.config, &fixture.inputs());
            for (name, expected) in &fixture.expected {
                let error = relative_error(&computed[name], expected);
                assert!(error < 2e-5, "{}: {name} {error:.1e}", path.display());
            }
        }
    }
}
