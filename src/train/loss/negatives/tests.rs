//! The choice of negatives against the plain way: the whole matrix in f64, sorted and masked.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::loss::parity::{Fixture, RESULTS, relative_error};
use crate::train::loss::reference::{self, Inputs};
use crate::train::loss::tests::unit_rows;
use crate::train::loss::{
    ClassifyConfig, Labels, LossConfig, LossOutput, Pairs, SigmoidConfig, SoftmaxConfig,
    contrastive, places,
};

type Kept = BTreeSet<(usize, usize)>;

/// Images and texts `[batch, dim]` of f32 values.
struct Batch {
    dim: usize,
    image: Vec<f64>,
    text: Vec<f64>,
}

impl Batch {
    fn random(batch: usize, dim: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = || -> Vec<f64> {
            let rows = unit_rows(&mut rng, batch, dim);
            rows.into_iter().map(|x| f64::from(x as f32)).collect()
        };
        Self {
            dim,
            image: rows(),
            text: rows(),
        }
    }

    /// Few different vectors whose products are exact in any order, so that most pairs are equals.
    fn of_equals(batch: usize) -> Self {
        let signs = |i: usize, period: usize| {
            [1, 2, 4, 8].map(|bit| if (i % period) & bit == 0 { 0.5 } else { -0.5 })
        };
        Self {
            dim: 4,
            image: (0..batch).flat_map(|i| signs(i, 5)).collect(),
            text: (0..batch).flat_map(|i| signs(i, 3)).collect(),
        }
    }

    fn count(&self) -> usize {
        self.image.len() / self.dim
    }
}

/// The negatives that count, from the matrix of all pairs.
fn expected(config: &NegativesConfig, batch: &Batch, draw: Draw) -> Kept {
    let count = batch.count();
    let inputs = Inputs {
        image: &batch.image,
        text: &batch.text,
        dim: batch.dim,
        classes: &[],
        log_t: 0.0,
        bias: 0.0,
        draw,
    };
    let counts = reference::negatives(config, &inputs).into_iter();
    let kept = counts.enumerate().filter(|(_, counts)| *counts);
    kept.map(|(pair, _)| (pair / count, pair % count)).collect()
}

/// The negatives that count, as the ring chooses them in f32.
fn chosen(config: &NegativesConfig, batch: &Batch, draw: Draw, ranks: usize, tile: usize) -> Kept {
    let (count, dim) = (batch.count(), batch.dim);
    let first = |rank: usize| count * rank / ranks;
    let kept = Mesh::run_alike(ranks, |mesh| {
        let slice = |all: &[f64]| -> Vec<f32> {
            let rows = first(mesh.rank()) * dim..first(mesh.rank() + 1) * dim;
            all[rows].iter().map(|&x| x as f32).collect()
        };
        let image = slice(&batch.image);
        let pairs = Pairs {
            image: &image,
            text: slice(&batch.text),
            dim,
            batch: count,
            plan: Plan::in_squares_of(tile),
            labels: Labels::Partners,
            learns: [true; 2],
            draw,
            look: false,
        };
        let places = Places::gather(&mesh, places::check(&pairs), count).unwrap();
        let (image, text, plan) = (Rows::new(&image, dim), Arc::new(pairs.text), pairs.plan);
        let selection = select(config, (&mesh, &places), image, &text, plan, draw).unwrap();
        let mut kept = Kept::new();
        let visit = |square: &mut Square<f32>| {
            let mut kept = Vec::new();
            for row in 0..square.rows.len() {
                let place = places.of(square, row);
                for (column, s) in square.values.row(row).iter().enumerate() {
                    let keeps = selection
                        .as_ref()
                        .is_none_or(|selection| selection.keeps(place, column, (*s).into()));
                    if keeps && square.partner(row) != Some(column) {
                        kept.push((place.image, place.text + column));
                    }
                }
            }
            kept
        };
        let purpose = (plan, Seek::Nothing);
        trip(&mesh, image, &text, Vec::new(), purpose, visit, |pairs| {
            kept.extend(pairs)
        })
        .unwrap();
        kept
    });
    kept.into_iter().flatten().collect()
}

const MASKS: [Keep; 5] = [
    Keep::Random,
    Keep::Hard,
    Keep::HardMatched,
    Keep::Easy,
    Keep::Rolled,
];

#[test]
fn set_value_and_gradients_are_those_of_the_sorted_matrix() {
    for (count, seed) in [(2, 1), (13, 2), (60, 3)] {
        let batch = Batch::random(count, 8, seed);
        for keep in MASKS {
            for ratio in [0.1, 1.0, 3.7, 16.0, 58.9] {
                let config = NegativesConfig { keep, ratio };
                let kept = expected(&config, &batch, Draw::default());
                let (log_t, bias) = (1.5, -2.0);
                let mut fixture = Fixture {
                    config: LossConfig::Sigmoid(SigmoidConfig {
                        negatives: config.clone(),
                        ..SigmoidConfig::default()
                    }),
                    dim: batch.dim,
                    image: batch.image.clone(),
                    text: batch.text.clone(),
                    classes: Vec::new(),
                    log_t,
                    bias,
                    expected: BTreeMap::new(),
                };
                fixture.expected = reference::results(&fixture.config, &fixture.inputs());
                for ranks in 1..=4 {
                    for tile in [1, 7, count] {
                        let place = format!("{config:?}, {count} pairs on {ranks} ranks in {tile}");
                        let found = chosen(&config, &batch, Draw::default(), ranks, tile);
                        assert_eq!(found, kept, "{place}");
                        let computed = fixture.compute(ranks, Plan::in_squares_of(tile)).unwrap();
                        for name in RESULTS {
                            let error = relative_error(&computed[name], &fixture.expected[name]);
                            assert!(error < 2e-5, "{place}: {name} is off by {error:.1e}");
                        }
                    }
                }
            }
        }
    }
}

/// More pairs than can be listed: the cut is found by counting first.
#[test]
fn a_large_batch_is_cut_as_a_small_one() {
    let batch = Batch::random(300, 6, 4);
    assert!((batch.count() * (batch.count() - 1)) as u64 > LISTED);
    for keep in MASKS {
        for ratio in [0.4, 20.0, 250.0] {
            let config = NegativesConfig { keep, ratio };
            let kept = expected(&config, &batch, Draw::default());
            for (ranks, tile) in [(1, 64), (3, 300)] {
                let found = chosen(&config, &batch, Draw::default(), ranks, tile);
                assert_eq!(found, kept, "{config:?} on {ranks} ranks in {tile}");
            }
        }
    }
}

#[test]
fn equals_are_drawn_alike_on_every_ring_and_tile() {
    for (count, ratio) in [(40, 7.0), (300, 0.5), (300, 120.0)] {
        let batch = Batch::of_equals(count);
        for keep in [Keep::Hard, Keep::Easy] {
            let config = NegativesConfig { keep, ratio };
            for step in 1..=2 {
                let draw = Draw { seed: 5, step };
                let mut kept = expected(&config, &batch, draw);
                assert_eq!(kept.len(), (ratio * count as f64) as usize);
                for (ranks, tile) in [(1, count), (2, 64), (4, 7)] {
                    let found = chosen(&config, &batch, draw, ranks, tile);
                    assert_eq!(
                        found, kept,
                        "{config:?}, {count} on {ranks} ranks in {tile}"
                    );
                }
                kept.retain(|(i, _)| *i < count / 2);
                let lower = kept.len() as f64 / (ratio * count as f64);
                assert!(
                    (0.3..0.7).contains(&lower),
                    "{config:?}: {lower} in one half"
                );
            }
        }
    }
}

/// 4 standard deviations about the mean, over many steps and in each row.
#[test]
fn random_keeps_what_chance_says_and_other_pairs_each_step() {
    let (count, ratio, steps) = (64, 8.0, 50);
    let batch = Batch::random(count, 4, 6);
    let keep = Keep::Random;
    let of_step = |seed, step| {
        let config = NegativesConfig { keep, ratio };
        chosen(&config, &batch, Draw { seed, step }, 1, count)
    };
    let mut rows = vec![0.0; count];
    for step in 1..=steps {
        for (i, _) in of_step(0, step) {
            rows[i] += 1.0;
        }
    }
    let p = ratio / (count as f64 - 1.0);
    let near = |found: f64, trials: f64| {
        let deviation = (trials * p * (1.0 - p)).sqrt();
        assert!(
            (found - trials * p).abs() < 4.0 * deviation,
            "{found} of {trials}"
        );
    };
    let trials = steps as f64 * (count as f64 - 1.0);
    rows.iter().for_each(|&row| near(row, trials));
    near(rows.iter().sum(), trials * count as f64);
    let both = of_step(0, 1).intersection(&of_step(0, 2)).count() as f64;
    near(both / p, (count * (count - 1)) as f64);
    assert_ne!(of_step(0, 1), of_step(1, 1));
}

fn loss_of(config: &NegativesConfig, batch: &Batch) -> LossOutput<f32> {
    let narrow = |rows: &[f64]| -> Vec<f32> { rows.iter().map(|&x| x as f32).collect() };
    let pairs = Pairs {
        image: &narrow(&batch.image),
        text: narrow(&batch.text),
        dim: batch.dim,
        batch: batch.count(),
        plan: Plan::in_squares_of(16),
        labels: Labels::Partners,
        learns: [true; 2],
        look: false,
        draw: Draw::default(),
    };
    let config = SigmoidConfig {
        negatives: config.clone(),
        ..SigmoidConfig::default()
    };
    contrastive(
        &LossConfig::Sigmoid(config),
        &Mesh::alone(),
        pairs,
        1.0,
        -3.0,
    )
    .unwrap()
}

#[test]
fn a_ratio_of_all_negatives_is_all_and_logits_are_those_that_count() {
    let batch = Batch::random(20, 4, 7);
    let all = loss_of(&NegativesConfig::default(), &batch);
    for keep in MASKS {
        for ratio in [19.0, 1e9] {
            assert_eq!(loss_of(&NegativesConfig { keep, ratio }, &batch), all);
        }
    }
    let of = |keep| loss_of(&NegativesConfig { keep, ratio: 9.5 }, &batch);
    let (hard, easy) = (of(Keep::Hard), of(Keep::Easy));
    assert_eq!((hard.negative.count, easy.negative.count), (190, 190));
    assert_eq!((hard.positive, easy.positive), (all.positive, all.positive));
    assert!(easy.negative.max < hard.negative.min && hard.loss > easy.loss);
    assert_eq!(easy.negative.min, all.negative.min);
    assert_eq!(hard.negative.max, all.negative.max);
    let none = loss_of(
        &NegativesConfig {
            keep: Keep::Hard,
            ratio: 0.01,
        },
        &batch,
    );
    assert_eq!(none.negative.count, 0);
}

/// The first numbers of the published generator: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
#[test]
fn hashes_are_splitmix64() {
    let selection = Selection {
        stream: 1234567,
        rule: Rule::Drawn { below: 0 },
    };
    assert_eq!(
        [0, 1, 2].map(|index| selection.hash(index)),
        [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423
        ]
    );
}

#[test]
fn a_similarity_keeps_its_order_as_a_whole_number() {
    let ordered = [
        -2.0,
        -1.0,
        -0.3,
        -1e-9,
        0.0,
        1e-9,
        0.3,
        0.3 + f64::EPSILON,
        1.0,
        2.0,
    ];
    for pair in ordered.windows(2) {
        assert!(Order::MostSimilar.rank(pair[0]) < Order::MostSimilar.rank(pair[1]));
        assert!(Order::LeastSimilar.rank(pair[0]) > Order::LeastSimilar.rank(pair[1]));
    }
    let next = |x: f32| f64::from(f32::from_bits(x.to_bits() + 1));
    for x in [2.0_f32.powi(-38), 0.7, 1.0] {
        assert!(Order::MostSimilar.rank(next(x)) > Order::MostSimilar.rank(x.into()));
    }
}

#[test]
fn each_image_and_each_text_has_as_many_rolled_negatives() {
    for (batch, each) in [(2, 1), (7, 1), (7, 3), (7, 6)] {
        for of_image in [true, false] {
            for one in 0..batch {
                let others = (0..batch).filter(|&other| match of_image {
                    true => is_rolled(one, other, batch, each),
                    false => is_rolled(other, one, batch, each),
                });
                let others: Vec<usize> = others.collect();
                assert!(others.len() == each && !others.contains(&one));
            }
        }
    }
    let config = NegativesConfig {
        keep: Keep::Rolled,
        ratio: 1.5,
    };
    assert_eq!(config.validate().unwrap_err().key, "loss.negatives.ratio");
}

/// The mask of 1 in 16 of section 4.8: sixteen times the examples.
#[test]
fn matched_pairs_are_seen_by_a_longer_run() {
    let mut config = crate::train::TrainConfig::default();
    (config.train.batch_size, config.train.examples) = (17, 1_001);
    let with = |keep, ratio| {
        let mut config = config.clone();
        config.loss = LossConfig::Sigmoid(SigmoidConfig {
            negatives: NegativesConfig { keep, ratio },
            ..SigmoidConfig::default()
        });
        config
            .validate()
            .map(|()| (config.examples(), config.steps()))
    };
    assert_eq!(with(Keep::Hard, 1.0), Ok((1_001, 59)));
    assert_eq!(with(Keep::HardMatched, 1.0), Ok((16_016, 943)));
    assert_eq!(with(Keep::HardMatched, 3.0), Ok((5_339, 315)));
    assert_eq!(with(Keep::HardMatched, 16.0), Ok((1_001, 59)));
    let error = with(Keep::HardMatched, 1e-9).unwrap_err();
    assert_eq!(error.key, "train.examples");
}

/// A step with 1 of 16 negatives takes in a sixteenth of the pairs, and a matched run has sixteen times the steps.
#[test]
fn pairs_are_counted_by_the_share_of_negatives() {
    let pairs = |keep, ratio| {
        let negatives = NegativesConfig { keep, ratio };
        let loss = LossConfig::Sigmoid(SigmoidConfig {
            negatives,
            ..SigmoidConfig::default()
        });
        loss.pairs(17).unwrap() * loss.matching(17)
    };
    assert_eq!(pairs(Keep::All, 0.0), 289.0);
    assert_eq!(pairs(Keep::Random, 1.0), 289.0 / 16.0);
    assert_eq!(pairs(Keep::HardMatched, 1.0), 289.0);
    assert_eq!(
        LossConfig::Softmax(SoftmaxConfig::default()).pairs(4),
        Some(16.0)
    );
    assert_eq!(
        LossConfig::Classify(ClassifyConfig::default()).pairs(4),
        None
    );
}

#[test]
fn a_ratio_that_keeps_nothing_names_its_key() {
    let problem = |keep, ratio| NegativesConfig { keep, ratio }.validate();
    for keep in MASKS {
        assert_eq!(problem(keep, 0.0).unwrap_err().key, "loss.negatives.ratio");
        let least = if keep == Keep::Rolled { 1.0 } else { 0.5 };
        assert_eq!(problem(keep, least), Ok(()));
    }
    assert_eq!(problem(Keep::All, 0.0), Ok(()));
    assert!(problem(Keep::All, -1.0).is_err() && problem(Keep::Hard, f64::NAN).is_err());
}
