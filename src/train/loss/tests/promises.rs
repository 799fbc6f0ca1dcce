//! What the losses promise whatever the batch: the equations on random cases, the same bits whoever computes, errors that
//! all ranks hear, labels of any kind, and gauges that are those of the sorted matrix.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::train::loss::parity::{Fixture, bound};
use crate::train::loss::reference;
use crate::train::loss::tile::{Isa, Kernel, Precision};

fn sigmoid_default() -> LossConfig {
    LossConfig::Sigmoid(SigmoidConfig::default())
}

fn softmax_default() -> LossConfig {
    LossConfig::Softmax(SoftmaxConfig::default())
}

/// A batch that may be correlated: rows share a direction, and texts resemble their images.
fn case(seed: u64, batch: usize, dim: usize, shared: f64, paired: f64) -> [Vec<f64>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let common = unit_rows(&mut rng, 1, dim);
    let unit = |rows: &mut [f64]| {
        for row in rows.chunks_exact_mut(dim) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut()
                .for_each(|x| *x = f64::from((*x / norm) as f32));
        }
    };
    let mut image = unit_rows(&mut rng, batch, dim);
    let mut text = unit_rows(&mut rng, batch, dim);
    for i in 0..batch * dim {
        image[i] += shared * common[i % dim];
        text[i] += paired * image[i] + shared * common[i % dim];
    }
    unit(&mut image);
    unit(&mut text);
    [image, text]
}

fn fixture(
    config: LossConfig,
    [image, text]: [Vec<f64>; 2],
    dim: usize,
    log_t: f64,
    bias: f64,
) -> Fixture {
    let mut fixture = Fixture {
        config,
        dim,
        image,
        text,
        classes: Vec::new(),
        log_t,
        bias,
        expected: BTreeMap::new(),
    };
    fixture.expected = reference::results(&fixture.config, &fixture.inputs());
    fixture
}

/// Every way to multiply that this processor has.
fn kernels(precision: Precision) -> impl Iterator<Item = Kernel> {
    Isa::ALL
        .into_iter()
        .filter_map(move |isa| Kernel::new(isa, precision))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_cases_are_what_the_equations_say(
        seed: u64,
        batch in 1_usize..=600,
        dim in prop::sample::select(vec![2_usize, 3, 16, 31, 64, 100]),
        side in prop_oneof![1_usize..=20, 21_usize..=700],
        ranks in 1_usize..=6,
        (shared, paired) in (0.0_f64..2.0, 0.0_f64..2.0),
        log_t in 0.0_f64..=6.0,
        bias in -20.0_f64..=20.0,
        is_sigmoid: bool,
        two_way: bool,
    ) {
        let (config, bias) = if is_sigmoid { (sigmoid_default(), bias) } else { (softmax_default(), 0.0) };
        let fixture = fixture(config, case(seed, batch, dim, shared, paired), dim, log_t, bias);
        for kernel in kernels(Precision::F32) {
            let way = if two_way { Way::TwoWay } else { Way::OneWay };
            for (name, error) in fixture.errors(&fixture.compute(ranks, Plan { side, kernel, way }).unwrap()) {
                prop_assert!(error <= bound(Precision::F32, &fixture.config, log_t), "{:?}: {} is off by {:.1e}", kernel, name, error);
            }
        }
    }
}

/// The bounds that the documentation states.
#[test]
fn lower_precisions_stay_in_their_bounds() {
    for precision in [Precision::Bf16x3, Precision::Bf16] {
        for (path, mut fixture) in recorded() {
            fixture.expected = reference::results(&fixture.config, &fixture.inputs());
            for kernel in kernels(precision) {
                for ranks in [1, 3] {
                    let plan = Plan {
                        side: 64,
                        kernel,
                        way: Way::OneWay,
                    };
                    for (name, error) in fixture.errors(&fixture.compute(ranks, plan).unwrap()) {
                        assert!(
                            error <= bound(precision, &fixture.config, fixture.log_t),
                            "{}: {kernel:?}: {name} is off by {error:.1e}",
                            path.display()
                        );
                    }
                }
            }
        }
    }
}

/// One output for each rank.
fn on_ranks(
    config: &LossConfig,
    rows: &[Vec<f64>; 2],
    dim: usize,
    plan: Plan,
    ranks: usize,
    labels: impl Fn(std::ops::Range<usize>) -> Labels<'static> + Sync,
) -> Vec<Result<LossOutput<f32>, LossError>> {
    let batch = rows[0].len() / dim;
    Mesh::run_alike(ranks, |mesh| {
        let bound = |rank: usize| batch * rank / ranks;
        let own = bound(mesh.rank())..bound(mesh.rank() + 1);
        let slice = |all: &[f64]| -> Vec<f32> {
            let values = &all[own.start * dim..own.end * dim];
            values.iter().map(|x| *x as f32).collect()
        };
        let pairs = Pairs {
            image: &slice(&rows[0]),
            text: slice(&rows[1]),
            dim,
            batch,
            learns: [true; 2],
            plan,
            labels: labels(own.clone()),
            draw: Draw::default(),
            look: true,
        };
        contrastive(config, &mesh, pairs, 1.5, -2.0)
    })
}

fn partners(_: std::ops::Range<usize>) -> Labels<'static> {
    Labels::Partners
}

#[test]
fn threads_change_no_bit() {
    let rows = case(3, 150, 20, 0.3, 0.5);
    let pool = |threads| {
        let builder = rayon::ThreadPoolBuilder::new();
        builder.num_threads(threads).build().unwrap()
    };
    for config in [sigmoid_default(), softmax_default()] {
        for ranks in [1, 3] {
            let plan = Plan::in_squares_of(16);
            let run = |threads| {
                pool(threads).install(|| on_ranks(&config, &rows, 20, plan, ranks, partners))
            };
            let one = run(1);
            assert!(one.iter().all(Result::is_ok));
            for threads in [2, 5] {
                assert_eq!(run(threads), one, "{threads} threads, {ranks} ranks");
            }
        }
    }
}

#[test]
fn both_ways_round_the_ring_give_one_loss() {
    let rows = case(4, 90, 12, 0.3, 0.5);
    for config in [sigmoid_default(), softmax_default()] {
        let alone = on_ranks(&config, &rows, 12, Plan::in_squares_of(32), 1, partners);
        let whole = alone[0].as_ref().unwrap();
        for ranks in 1..=8 {
            for way in [Way::OneWay, Way::TwoWay] {
                let plan = Plan {
                    way,
                    ..Plan::in_squares_of(32)
                };
                let parts = on_ranks(&config, &rows, 12, plan, ranks, partners);
                let parts: Vec<_> = parts.into_iter().map(Result::unwrap).collect();
                let loss: f64 = parts.iter().map(|part| part.loss).sum();
                assert!((loss / whole.loss - 1.0).abs() < 1e-6, "{way:?} {ranks}");
                for of in [
                    |part: &LossOutput<f32>| part.d_image.clone(),
                    |part: &LossOutput<f32>| part.d_text.clone(),
                ] {
                    let wide =
                        |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
                    let all = wide(parts.iter().flat_map(of).collect());
                    assert!(
                        relative_error(&all, &wide(of(whole))) < 1e-5,
                        "{way:?} {ranks}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_side_that_does_not_learn_has_no_gradient_and_changes_no_other() {
    let [image, text] = case(5, 50, 8, 0.1, 0.5)
        .map(|rows| -> Vec<f32> { rows.iter().map(|x| *x as f32).collect() });
    for config in [sigmoid_default(), softmax_default()] {
        for isa in Isa::ALL {
            let Some(kernel) = Kernel::new(isa, Precision::F32) else {
                continue;
            };
            let with = |learns| {
                let pairs = Pairs {
                    image: &image,
                    text: text.clone(),
                    dim: 8,
                    batch: 50,
                    learns,
                    plan: Plan {
                        side: 16,
                        kernel,
                        way: Way::OneWay,
                    },
                    labels: Labels::Partners,
                    draw: Draw::default(),
                    look: false,
                };
                contrastive(&config, &Mesh::alone(), pairs, 1.5, -2.0).unwrap()
            };
            let both = with([true, true]);
            let locked = with([false, true]);
            assert!(locked.d_image.is_empty());
            assert_eq!(
                (&locked.d_text, locked.d_log_t),
                (&both.d_text, both.d_log_t)
            );
            let locked = with([true, false]);
            assert!(locked.d_text.is_empty());
            assert_eq!((&locked.d_image, locked.loss), (&both.d_image, both.loss));
        }
    }
}

#[test]
fn every_rank_hears_why_there_is_no_loss() {
    let plan = Plan::in_squares_of(4);
    let all_say = |results: Vec<Result<LossOutput<f32>, LossError>>, what: &LossError| {
        for result in results {
            assert_eq!(&result.unwrap_err(), what);
        }
    };
    for config in [sigmoid_default(), softmax_default()] {
        let mut rows = case(6, 9, 4, 0.0, 0.0);
        rows[1][4 * 7 + 2] = f64::NAN;
        let not_finite = LossError::NotFinite {
            side: "text",
            row: 1,
        };
        all_say(on_ranks(&config, &rows, 4, plan, 3, partners), &not_finite);
        all_say(
            on_ranks(&config, &[Vec::new(), Vec::new()], 4, plan, 2, partners),
            &LossError::Empty,
        );

        let rows =
            case(6, 9, 4, 0.0, 0.0).map(|rows| rows.iter().map(|x| *x as f32).collect::<Vec<_>>());
        let with = |dim, batch, texts: usize, log_t| {
            let pairs = Pairs {
                image: &rows[0],
                text: rows[1][..texts * 4].to_vec(),
                dim,
                batch,
                learns: [true; 2],
                plan,
                labels: Labels::Partners,
                draw: Draw::default(),
                look: false,
            };
            contrastive(&config, &Mesh::alone(), pairs, log_t, 0.0).unwrap_err()
        };
        for (dim, batch, texts) in [(5, 9, 9), (0, 9, 9), (4, 10, 9), (4, 9, 8)] {
            assert!(
                matches!(with(dim, batch, texts, 0.0), LossError::Shape(_)),
                "{dim} {batch} {texts}"
            );
        }
        for log_t in [f64::NAN, f64::INFINITY, 60.0] {
            assert!(
                matches!(with(4, 9, 9, log_t), LossError::Scalars { .. }),
                "{log_t}"
            );
        }
    }
    let rows = case(6, 9, 4, 0.0, 0.0);
    let outside: &'static [Vec<(u32, bool)>] = vec![vec![(9, true)]; 9].leak();
    let results = on_ranks(&sigmoid_default(), &rows, 4, plan, 1, |own| {
        Labels::Listed(Listed {
            labels: &outside[own],
            others_are_negatives: true,
        })
    });
    assert!(
        matches!(&results[0], Err(LossError::Label(what)) if what.contains("text 9 of a batch of 9"))
    );
}

/// Loss and ∂L/∂l over the whole matrix for given signs.
fn by_hand(rows: &[Vec<f64>; 2], dim: usize, sign: impl Fn(usize, usize) -> f64) -> (f64, f64) {
    let batch = rows[0].len() / dim;
    let (mut loss, mut d_bias) = (0.0, 0.0);
    for i in 0..batch {
        for j in 0..batch {
            let s: f64 = (0..dim)
                .map(|k| rows[0][i * dim + k] * rows[1][j * dim + k])
                .sum();
            let (z, logit) = (sign(i, j), 1.5_f64.exp() * s - 2.0);
            loss += z.abs() * (-z * logit).exp().ln_1p();
            d_bias -= z / (1.0 + (z * logit).exp());
        }
    }
    (loss / batch as f64, d_bias / batch as f64)
}

#[test]
fn labels_make_pairs_positives_negatives_or_nothing() {
    let rows = case(7, 40, 6, 0.2, 0.3);
    let class = |i: usize| (i * i % 7) as u32;
    let classes: &'static [u32] = (0..40).map(class).collect::<Vec<_>>().leak();
    // Of each image some texts were measured.
    let measured = |i: usize, j: usize| (i + 3 * j).is_multiple_of(4);
    let active = |i: usize, j: usize| (i * j).is_multiple_of(3);
    let labels = (0..40).map(|i| {
        let texts = (0..40).filter(|j| measured(i, *j));
        texts.map(|j| (j as u32, active(i, j))).collect()
    });
    let labels: &'static [Vec<(u32, bool)>] = labels.collect::<Vec<_>>().leak();
    let signed = |positive: bool| if positive { 1.0 } else { -1.0 };
    for (ranks, side) in [(1, 40), (1, 7), (3, 16)] {
        let plan = Plan::in_squares_of(side);
        let sum = |results: Vec<Result<LossOutput<f32>, LossError>>| {
            let parts: Vec<_> = results.into_iter().map(Result::unwrap).collect();
            let positives: u64 = parts.iter().map(|part| part.positive.count).sum();
            let negatives: u64 = parts.iter().map(|part| part.negative.count).sum();
            let sums = (
                parts.iter().map(|part| part.loss).sum::<f64>(),
                parts.iter().map(|part| part.d_bias).sum::<f64>(),
            );
            (sums, positives, negatives)
        };
        let near = |found: (f64, f64), expected: (f64, f64)| {
            assert!(
                (found.0 / expected.0 - 1.0).abs() < 1e-5,
                "{found:?} {expected:?}"
            );
            assert!(
                (found.1 - expected.1).abs() < 1e-5 * expected.0,
                "{found:?} {expected:?}"
            );
        };
        let config = sigmoid_default();
        let (sums, positives, negatives) = sum(on_ranks(&config, &rows, 6, plan, ranks, |own| {
            Labels::Classes {
                image: &classes[own.clone()],
                text: &classes[own],
            }
        }));
        near(sums, by_hand(&rows, 6, |i, j| signed(class(i) == class(j))));
        let pairs = (0..1600).filter(|p| class(p / 40) == class(p % 40)).count() as u64;
        assert_eq!((positives, negatives), (pairs, 1600 - pairs));
        for others_are_negatives in [false, true] {
            let (sums, positives, negatives) =
                sum(on_ranks(&config, &rows, 6, plan, ranks, |own| {
                    Labels::Listed(Listed {
                        labels: &labels[own],
                        others_are_negatives,
                    })
                }));
            near(
                sums,
                by_hand(&rows, 6, |i, j| {
                    match (measured(i, j), others_are_negatives) {
                        (true, _) => signed(active(i, j)),
                        (false, true) => -1.0,
                        (false, false) => 0.0,
                    }
                }),
            );
            let all = if others_are_negatives {
                1600
            } else {
                labels.iter().map(Vec::len).sum::<usize>() as u64
            };
            assert_eq!(positives + negatives, all);
        }
    }
}

#[test]
fn the_pull_of_positives_and_of_the_hardest_is_that_of_the_whole_matrix() {
    let rows = case(8, 200, 8, 0.1, 1.0);
    let t = 1.5_f64.exp();
    let (mut positive, mut negatives) = (0.0, Vec::new());
    for i in 0..200 {
        for j in 0..200 {
            let s: f64 = (0..8)
                .map(|k| rows[0][i * 8 + k] * rows[1][j * 8 + k])
                .sum();
            let logit = t * s - 2.0;
            if i == j {
                positive += 1.0 / (1.0 + logit.exp()) / 200.0;
            } else {
                negatives.push(1.0 / (1.0 + (-logit).exp()) / 200.0);
            }
        }
    }
    negatives.sort_by(|a, b| b.total_cmp(a));
    let negative: f64 = negatives.iter().sum();
    let hardest = negatives[..negatives.len() / 100].iter().sum::<f64>() / negative;
    for ranks in [1, 3] {
        let parts = on_ranks(
            &sigmoid_default(),
            &rows,
            8,
            Plan::in_squares_of(64),
            ranks,
            partners,
        );
        let (mut pulls, mut histogram) = ([0.0; 2], Hardest::default());
        for part in parts {
            let part = part.unwrap();
            pulls[0] += part.positive_pull;
            pulls[1] += part.negative_pull;
            histogram.merge(&part.hardest);
        }
        assert!(
            (pulls[0] / positive - 1.0).abs() < 1e-5 && (pulls[1] / negative - 1.0).abs() < 1e-5
        );
        let share = histogram.share(0.01).unwrap();
        assert!(
            (share / hardest - 1.0).abs() < 0.02,
            "{share}, expected {hardest}"
        );
    }
}
