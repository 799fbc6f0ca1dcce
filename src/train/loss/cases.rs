//! Seeded cases of everything that a contrastive loss can be asked, with the results of [`super::reference`]: what a build
//! is held against on a machine that has no recorded values of another program.

use std::collections::BTreeMap;
use std::f64::consts::LN_10;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::parity::Fixture;
use super::reference;
use super::{
    BiasMode, Keep, LossConfig, NegativesConfig, Normalisation, Positives, SigmoidConfig,
    SoftmaxConfig,
};

/// One way to ask for a loss.
pub struct Variant {
    /// The kind, and what is asked of it beyond the defaults.
    pub name: &'static str,
    pub config: LossConfig,
    /// b of its cases; 0 where there is none.
    bias: f64,
    /// Texts near one other image each, and far from another: then the hardest and the easiest negatives are the same
    /// pairs however roughly similarities are computed.
    planted: bool,
}

/// Pairs and width of the cases: below, at and above what vector units and tiles hold at a time.
const SHAPES: [(usize, usize); 5] = [(1, 8), (5, 3), (33, 48), (64, 64), (130, 24)];
/// Of planted cases, which want more dimensions than pairs.
const PLANTED: [(usize, usize); 3] = [(5, 8), (33, 48), (70, 96)];

/// t' of the start of a run, and of a late step.
const LOG_T: [f64; 2] = [LN_10, 3.5];

/// Every variant.
pub fn variants() -> Vec<Variant> {
    let sigmoid = |name, bias, planted, change: fn(&mut SigmoidConfig)| {
        let mut config = SigmoidConfig::default();
        change(&mut config);
        Variant {
            name,
            config: LossConfig::Sigmoid(config),
            bias,
            planted,
        }
    };
    vec![
        Variant {
            name: "softmax",
            config: LossConfig::Softmax(SoftmaxConfig::default()),
            bias: 0.0,
            planted: false,
        },
        sigmoid("sigmoid", -10.0, false, |_| ()),
        sigmoid("sigmoid, no bias", 0.0, false, |c| {
            c.bias.mode = BiasMode::None;
        }),
        sigmoid("sigmoid, relative bias", 0.3, false, |c| {
            c.bias.relative = true;
        }),
        sigmoid("sigmoid, over pairs", -5.0, false, |c| {
            c.normalisation = Normalisation::Pairs;
        }),
        sigmoid("sigmoid, positives by class", -2.0, false, |c| {
            c.positives = Positives::Class;
        }),
        sigmoid("sigmoid, random negatives", -2.0, false, |c| {
            c.negatives = kept(Keep::Random, 2.5);
        }),
        sigmoid("sigmoid, rolled negatives", -2.0, false, |c| {
            c.negatives = kept(Keep::Rolled, 3.0);
        }),
        sigmoid("sigmoid, hard negatives", -2.0, true, |c| {
            c.negatives = kept(Keep::Hard, 1.0);
        }),
        sigmoid("sigmoid, easy negatives", 1.0, true, |c| {
            c.negatives = kept(Keep::Easy, 1.0);
        }),
    ]
}

fn kept(keep: Keep, ratio: f64) -> NegativesConfig {
    NegativesConfig { keep, ratio }
}

impl Variant {
    /// Cases of several shapes and both t', with what is to be expected of them.
    pub fn cases(&self) -> Vec<Fixture> {
        let shapes: &[(usize, usize)] = if self.planted { &PLANTED } else { &SHAPES };
        let case = |(number, &(batch, dim)): (usize, &(usize, usize))| {
            let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
            let (image, text) = match self.planted {
                true => planted(&mut rng, batch, dim),
                false => (normals(&mut rng, batch, dim), normals(&mut rng, batch, dim)),
            };
            let mut fixture = Fixture {
                config: self.config.clone(),
                dim,
                image: unit(image, dim),
                text: unit(text, dim),
                classes: match self.config.positives_by_class() {
                    true => (0..batch).map(|i| (i * i % 5) as u32).collect(),
                    false => Vec::new(),
                },
                log_t: LOG_T[number % LOG_T.len()],
                bias: self.bias,
                expected: BTreeMap::new(),
            };
            fixture.expected = reference::results(&self.config, &fixture.inputs());
            fixture
        };
        shapes.iter().enumerate().map(case).collect()
    }
}

fn normals(rng: &mut ChaCha8Rng, batch: usize, dim: usize) -> Vec<f64> {
    let normal = |_| rng.sample(StandardNormal);
    (0..batch * dim).map(normal).collect()
}

/// Images that are nearly orthogonal, and texts that each are near the image after their own and far from the one after
/// that.
fn planted(rng: &mut ChaCha8Rng, batch: usize, dim: usize) -> (Vec<f64>, Vec<f64>) {
    let mut image: Vec<f64> = normals(rng, batch, dim);
    image.iter_mut().for_each(|x| *x *= 0.02);
    for i in 0..batch {
        image[i * dim + i] += 1.0;
    }
    let mut text: Vec<f64> = normals(rng, batch, dim);
    text.iter_mut().for_each(|x| *x *= 0.02);
    for j in 0..batch {
        for (ahead, weight) in [(0, 0.3), (1, 0.7), (2, -0.7)] {
            text[j * dim + (j + ahead) % batch] += weight;
        }
    }
    (image, text)
}

/// Rows of length 1, of numbers that an f32 holds.
fn unit(mut rows: Vec<f64>, dim: usize) -> Vec<f64> {
    for row in rows.chunks_exact_mut(dim) {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut()
            .for_each(|x| *x = f64::from((*x / norm) as f32));
    }
    rows
}
