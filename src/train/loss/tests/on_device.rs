//! The losses on tensors: the recorded cases and the variants, and all that a share tells beside the slices' share of
//! the same pairs.

use std::ops::Range;

use burn::tensor::Tensor;

use super::*;
use crate::train::device::tested;
use crate::train::loss::cases::variants;
use crate::train::loss::on_device::{
    TensorPairs, contrastive_by_tensors, contrastive_on, fastest_side,
};
use crate::train::loss::parity::bound;
use crate::train::loss::reference::{self, BIAS_TERMS, LOG_T_TERMS};
use crate::train::loss::tile::{Kernel, Precision};

/// The greatest error of what tensors compute, in bounds.
fn error(fixture: &Fixture, ranks: usize, plan: Plan) -> f64 {
    let by_tensors = |config: &LossConfig, mesh: &Mesh, pairs: Pairs<f32>, log_t, bias| {
        contrastive_by_tensors(&tested(), config, mesh, pairs, log_t, bias)
    };
    let computed = fixture.compute_by(by_tensors, ranks, plan).unwrap();
    let errors = fixture.errors(&computed).into_values();
    errors.fold(0.0, f64::max) / bound(plan.kernel.precision(), &fixture.config, fixture.log_t)
}

fn plan(tile: usize, precision: Precision) -> Plan {
    Plan {
        kernel: Kernel::best(precision),
        ..Plan::in_squares_of(tile)
    }
}

#[test]
fn every_recorded_case_on_every_ring_and_tile() {
    for (path, mut fixture) in recorded() {
        let equations = reference::results(&fixture.config, &fixture.inputs());
        for terms in [LOG_T_TERMS, BIAS_TERMS] {
            fixture.expected.insert(terms, equations[terms].clone());
        }
        let batch = fixture.image.len() / fixture.dim;
        for ranks in 1..=4 {
            // A tile of one pair costs as many operations as any.
            for tile in [1, 7, 64, batch].into_iter().filter(|t| batch <= 48 * t) {
                let error = error(&fixture, ranks, Plan::in_squares_of(tile));
                assert!(
                    error <= 1.0,
                    "{}: off by {error:.2} bounds on {ranks} ranks in tiles of {tile}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_variant_is_what_its_equation_says() {
    for variant in variants() {
        for case in variant.cases() {
            for ranks in [1, 3] {
                for tile in [5, 64, 256] {
                    let error = error(&case, ranks, Plan::in_squares_of(tile));
                    assert!(
                        error <= 1.0,
                        "{}: off by {error:.2} bounds on {ranks} ranks in tiles of {tile}",
                        variant.name
                    );
                }
            }
        }
    }
}

#[test]
fn lesser_precisions_keep_to_their_bounds() {
    for variant in variants() {
        for case in variant.cases() {
            for precision in [Precision::Bf16x3, Precision::Bf16] {
                for (ranks, tile) in [(1, 64), (3, 5)] {
                    let error = error(&case, ranks, plan(tile, precision));
                    assert!(
                        error <= 1.0,
                        "{}: off by {error:.2} bounds of {} on {ranks} ranks in tiles of {tile}",
                        variant.name,
                        precision.name()
                    );
                }
            }
        }
    }
}

#[test]
fn the_fastest_side_is_one_that_fits() {
    for config in [
        sigmoid_with(|_| ()),
        LossConfig::Softmax(SoftmaxConfig::default()),
    ] {
        for (count, most) in [(1, 256), (300, 512), (600, 1024)] {
            let shape = (count, DIM);
            let side = fastest_side(&tested(), &config, shape, Precision::F32).unwrap();
            assert!(
                side.is_power_of_two() && (256..=most).contains(&side),
                "{side}"
            );
        }
    }
}

/// Texts that resemble their images somewhat.
fn case(seed: u64, batch: usize, dim: usize) -> [Vec<f32>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (image, mut text) = (
        unit_rows(&mut rng, batch, dim),
        unit_rows(&mut rng, batch, dim),
    );
    for (y, x) in text.iter_mut().zip(&image) {
        *y = 0.8 * *y + 0.6 * x;
    }
    [image, text].map(|rows| rows.into_iter().map(|x| x as f32).collect())
}

const DIM: usize = 12;

/// How a share is asked for.
#[derive(Clone, Copy)]
struct Asked {
    ranks: usize,
    side: usize,
    way: Way,
    learns: [bool; 2],
}

impl Asked {
    fn of(ranks: usize, side: usize) -> Self {
        Self {
            ranks,
            side,
            way: Way::OneWay,
            learns: [true; 2],
        }
    }

    /// The share of every rank.
    fn shares<L: Fn(Range<usize>) -> Labels<'static> + Sync>(
        self,
        config: &LossConfig,
        rows: &[Vec<f32>; 2],
        labels: &L,
        tensors: bool,
    ) -> Vec<Result<LossOutput<f32>, LossError>> {
        let batch = rows[0].len() / DIM;
        Mesh::run_alike(self.ranks, |mesh| {
            let bound = |rank: usize| batch * rank / self.ranks;
            let own = bound(mesh.rank())..bound(mesh.rank() + 1);
            let [image, text] = [0, 1].map(|side| &rows[side][own.start * DIM..own.end * DIM]);
            let pairs = Pairs {
                image,
                text: text.to_vec(),
                dim: DIM,
                batch,
                learns: self.learns,
                plan: Plan {
                    way: self.way,
                    ..Plan::in_squares_of(self.side)
                },
                labels: labels(own),
                draw: Draw { seed: 3, step: 5 },
                look: false,
            };
            if tensors {
                contrastive_by_tensors(&tested(), config, &mesh, pairs, 1.5, -2.0)
            } else {
                contrastive(config, &mesh, pairs, 1.5, -2.0)
            }
        })
    }

    fn agrees<L: Fn(Range<usize>) -> Labels<'static> + Sync>(
        self,
        config: &LossConfig,
        rows: &[Vec<f32>; 2],
        labels: &L,
    ) {
        let near = |a: f64, b: f64| (a - b).abs() <= 2e-5 * f64::max(b.abs(), 1e-3);
        let extent = |a: Extent, b: Extent| {
            let (spread, count) = (5.0, b.count as f64);
            a.count == b.count
                && (a.sum - b.sum).abs() <= 1e-6 * spread * count
                && (a.min == b.min || (a.min - b.min).abs() < 1e-5)
                && (a.max == b.max || (a.max - b.max).abs() < 1e-5)
        };
        let matrix = |a: &[f32], b: &[f32]| {
            let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            a.len() == b.len() && relative_error(&wide(a), &wide(b)) < 2e-5
        };
        let [tensors, slices] =
            [true, false].map(|tensors| self.shares(config, rows, labels, tensors));
        // Tensors find that of t by texts where images do not learn: of all ranks it is the same.
        let d_log_t = |shares: &[Result<LossOutput<f32>, LossError>]| {
            let shares = shares.iter().map(|share| share.as_ref().unwrap().d_log_t);
            shares.sum::<f64>()
        };
        assert!(near(d_log_t(&tensors), d_log_t(&slices)));
        for (a, b) in tensors.into_iter().zip(slices) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!(
                near(a.loss, b.loss)
                    && near(a.d_bias, b.d_bias)
                    && near(a.positive_pull, b.positive_pull)
                    && near(a.negative_pull, b.negative_pull)
                    && extent(a.positive, b.positive)
                    && extent(a.negative, b.negative)
                    && matrix(&a.d_image, &b.d_image)
                    && matrix(&a.d_text, &b.d_text),
                "{a:?}\n{b:?}"
            );
        }
    }
}

fn sigmoid_with(change: impl Fn(&mut SigmoidConfig)) -> LossConfig {
    let mut config = SigmoidConfig::default();
    change(&mut config);
    LossConfig::Sigmoid(config)
}

fn partners(_: Range<usize>) -> Labels<'static> {
    Labels::Partners
}

#[test]
fn shares_are_those_of_slices() {
    let rows = case(11, 61, DIM);
    let kept = |keep| {
        sigmoid_with(|c| {
            c.negatives = NegativesConfig { keep, ratio: 2.0 };
        })
    };
    let configs = [
        LossConfig::Softmax(SoftmaxConfig::default()),
        sigmoid_with(|_| ()),
        sigmoid_with(|c| c.bias.relative = true),
        sigmoid_with(|c| c.normalisation = Normalisation::Pairs),
        kept(Keep::Random),
        kept(Keep::Rolled),
        kept(Keep::Hard),
        kept(Keep::Easy),
    ];
    for config in &configs {
        for (ranks, side) in [(1, 61), (1, 16), (3, 16), (4, 5)] {
            Asked::of(ranks, side).agrees(config, &rows, &partners);
        }
        // Some ranks have no pairs, and one pair has no negatives.
        Asked::of(5, 16).agrees(config, &case(12, 3, DIM), &partners);
        Asked::of(1, 16).agrees(config, &case(13, 1, DIM), &partners);
        for ranks in 2..=5 {
            let asked = Asked {
                way: Way::TwoWay,
                ..Asked::of(ranks, 16)
            };
            asked.agrees(config, &rows, &partners);
        }
        for learns in [[true, false], [false, true], [false, false]] {
            let asked = Asked {
                learns,
                ..Asked::of(2, 16)
            };
            asked.agrees(config, &rows, &partners);
        }
    }
}

#[test]
fn labels_count_as_in_slices() {
    let rows = case(14, 40, DIM);
    let classes: &'static [u32] = (0..40).map(|i| i * i % 7).collect::<Vec<_>>().leak();
    let listed = (0..40_usize).map(|i| {
        let texts = (0..40_usize).filter(|j| (i + 3 * j).is_multiple_of(4));
        texts
            .map(|j| (j as u32, (i * j).is_multiple_of(3)))
            .collect()
    });
    let listed: &'static [Vec<(u32, bool)>] = listed.collect::<Vec<_>>().leak();
    for (ranks, side) in [(1, 40), (1, 7), (3, 16)] {
        let asked = Asked::of(ranks, side);
        let config = sigmoid_with(|_| ());
        asked.agrees(&config, &rows, &|own| Labels::Classes {
            image: &classes[own.clone()],
            text: &classes[own],
        });
        for others_are_negatives in [false, true] {
            asked.agrees(&config, &rows, &|own| {
                Labels::Listed(Listed {
                    labels: &listed[own],
                    others_are_negatives,
                })
            });
        }
    }
}

#[test]
fn every_rank_hears_why_there_is_no_loss() {
    for config in [
        sigmoid_with(|_| ()),
        LossConfig::Softmax(SoftmaxConfig::default()),
    ] {
        let shares = |image: [usize; 2], text: [usize; 2], bad: Option<[usize; 2]>, log_t: f64| {
            Mesh::run_alike(3, |mesh| {
                let tensor = |shape: [usize; 2]| Tensor::<2>::full(shape, 0.5, &tested());
                let mut rows = tensor(text);
                if let Some([row, column]) = bad.filter(|_| mesh.rank() == 2) {
                    let at = [row..row + 1, column..column + 1];
                    rows = rows.slice_assign(at, tensor([1, 1]) * f64::NAN);
                }
                let pairs = TensorPairs {
                    image: tensor(image),
                    text: rows,
                    batch: 9,
                    learns: [true; 2],
                    side: 2,
                    precision: Precision::F32,
                    way: Way::OneWay,
                    labels: Labels::Partners,
                    draw: Draw::default(),
                };
                contrastive_on(&config, &mesh, pairs, log_t, 0.0)
                    .map(|out| out.sums.loss)
                    .unwrap_err()
            })
        };
        let not_finite = LossError::NotFinite {
            side: "text",
            row: 1,
        };
        assert_eq!(
            shares([3, 4], [3, 4], Some([1, 2]), 0.0),
            vec![not_finite; 3]
        );
        assert_eq!(shares([0, 4], [0, 4], None, 0.0), vec![LossError::Empty; 3]);
        for (image, text) in [([3, 4], [2, 4]), ([3, 4], [3, 5]), ([2, 4], [2, 4])] {
            let errors = shares(image, text, None, 0.0);
            assert!(errors.iter().all(|e| matches!(e, LossError::Shape(_))));
        }
        let errors = shares([3, 4], [3, 4], None, 60.0);
        assert!(
            errors
                .iter()
                .all(|e| matches!(e, LossError::Scalars { .. }))
        );
    }
    let rows = case(15, 9, DIM);
    let outside: &'static [Vec<(u32, bool)>] = vec![vec![(9, true)]; 9].leak();
    let labels = |own| {
        Labels::Listed(Listed {
            labels: &outside[own],
            others_are_negatives: true,
        })
    };
    let shares = Asked::of(2, 4).shares(&sigmoid_with(|_| ()), &rows, &labels, true);
    assert!(
        shares
            .iter()
            .all(|share| matches!(share, Err(LossError::Label(_))))
    );
}
