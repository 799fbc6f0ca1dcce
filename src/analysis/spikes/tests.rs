use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal, StudentT};

use super::*;
use crate::store::Position;

/// One metric a list, by row; NaN where a row lacks it. Rows are 2 steps apart and steps have 10 examples.
fn series(columns: &[(&str, Vec<f64>)]) -> Series {
    let mut series = Series::default();
    for row in 0..columns[0].1.len() {
        let values = columns.iter().map(|(name, values)| (*name, values[row]));
        series.push(
            position(row),
            values.filter(|(_, x)| !x.is_nan()).collect::<Vec<_>>(),
        );
    }
    series
}

fn position(row: usize) -> Position {
    let step = 2 * row as u64 + 2;
    Position {
        attempt: 1,
        step,
        examples: 10 * step,
        seconds: 0.5 * row as f64,
    }
}

fn found(series: &Series) -> Vec<Spike> {
    Spikes::of(series, SpikeConfig::default()).found().to_vec()
}

/// A healthy run of `rows` rows: loss and gradient norm.
struct Curve {
    loss: Vec<f64>,
    gradient: Vec<f64>,
}

impl Curve {
    /// From 4 down to `floor` over `decay` rows, with normal noise of `noise` in the logarithm; that of the gradient
    /// is thrice as large.
    fn new(rng: &mut ChaCha8Rng, rows: usize, floor: f64, decay: f64, noise: f64) -> Self {
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        let level = |row: usize| floor + (4.0 - floor) * (-(row as f64) / decay).exp();
        Self {
            loss: (0..rows)
                .map(|row| level(row) * (noise * normal()).exp())
                .collect(),
            gradient: (0..rows).map(|_| (3.0 * noise * normal()).exp()).collect(),
        }
    }

    /// Multiply loss and gradient from `row` on by these.
    fn lift(&mut self, row: usize, loss: &[f64], gradient: &[f64]) {
        for (values, factors) in [(&mut self.loss, loss), (&mut self.gradient, gradient)] {
            for (value, factor) in values[row..].iter_mut().zip(factors) {
                *value *= factor;
            }
        }
    }

    fn series(self) -> Series {
        series(&[("loss", self.loss), ("grad_norm", self.gradient)])
    }

    fn spikes(self) -> Vec<Spike> {
        found(&self.series())
    }
}

/// Each script on five curves of other noise and slope: 50 in all.
#[test]
fn scripted_spikes_are_found_where_they_are() {
    let fall = |height: f64, rows: usize| -> Vec<f64> {
        (0..rows)
            .map(|i| 1.0 + height * (-4.0 * i as f64 / rows as f64).exp())
            .collect()
    };
    let settings = [
        (2.0, 100.0, 0.01),
        (1.0, 60.0, 0.02),
        (0.5, 200.0, 0.03),
        (3.0, 1.0, 0.0),
        (0.1, 150.0, 0.02),
    ];
    for (case, (floor, decay, noise)) in settings.into_iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(case as u64);
        let mut curve = |rows: usize| Curve::new(&mut rng, rows, floor, decay, noise);
        let onsets = |spikes: &[Spike]| spikes.iter().map(|s| s.onset.row).collect::<Vec<_>>();
        let ends = |spikes: &[Spike]| spikes.iter().map(|s| s.end).collect::<Vec<_>>();

        // One point, too high for any gradient to matter.
        let mut one = curve(600);
        one.lift(400, &[3.5], &[]);
        let spikes = one.spikes();
        assert_eq!(onsets(&spikes), [400], "{case}");
        assert_eq!((spikes[0].steps(), spikes[0].end), (2, End::Recovered));
        assert!((spikes[0].height / 3.5).ln().abs() < 0.2, "{spikes:?}");

        // One point that only the gradient makes a spike.
        let mut small = curve(600);
        small.lift(400, &[1.4], &[5.0]);
        assert_eq!(onsets(&small.spikes()), [400], "{case}");

        // Up at once and down over 40 rows.
        let mut sharp = curve(600);
        sharp.lift(350, &fall(1.5, 40), &fall(9.0, 40));
        let spikes = sharp.spikes();
        assert_eq!(onsets(&spikes), [350], "{case}");
        let rows = spikes[0].until.row - 350;
        assert!(
            spikes[0].end == End::Recovered && (15..40).contains(&rows),
            "{case}: {rows}"
        );

        // Up over 10 rows and down over 20: the onset is where it stands out.
        let mut slow = curve(600);
        let up = (1..=10).map(|i| 1.0 + 0.15 * f64::from(i));
        let shape: Vec<f64> = up.chain(fall(1.5, 20)).collect();
        let gradient: Vec<f64> = shape.iter().map(|x| x * x * x).collect();
        slow.lift(450, &shape, &gradient);
        let spikes = slow.spikes();
        assert_eq!(spikes.len(), 1, "{case}: {spikes:?}");
        assert!((450..460).contains(&spikes[0].onset.row), "{case}");
        assert!((457..463).contains(&spikes[0].peak.row), "{case}");

        // It does not come back before the rows end.
        let mut lost = curve(600);
        lost.lift(500, &[3.0; 100], &[10.0; 100]);
        let spikes = lost.spikes();
        assert_eq!(
            (onsets(&spikes), ends(&spikes)),
            (vec![500], vec![End::Open])
        );
        assert_eq!((spikes[0].until.row, spikes[0].recovery()), (599, None));

        // Two in a row.
        let mut two = curve(600);
        two.lift(300, &[2.0, 1.9, 1.7], &[20.0; 3]);
        two.lift(310, &[2.5, 2.0], &[20.0; 2]);
        assert_eq!(onsets(&two.spikes()), [300, 310], "{case}");

        // One in the warm-up, which is exempt, and one after it.
        let mut early = curve(600);
        early.lift(30, &[5.0, 4.0], &[20.0; 2]);
        early.lift(200, &[3.0, 2.0], &[20.0; 2]);
        assert_eq!(onsets(&early.spikes()), [200], "{case}");

        // Where the loss still falls fast.
        let mut falling = curve(600);
        falling.lift(90, &fall(2.5, 12), &fall(30.0, 12));
        let spikes = falling.spikes();
        assert_eq!(
            (onsets(&spikes), ends(&spikes)),
            (vec![90], vec![End::Recovered]),
            "{case}"
        );

        // A step to a new level is given up as a spike; the next one is measured from there.
        let mut step = curve(1_400);
        step.lift(300, &[8.0; 1_100], &[10.0; 1]);
        step.lift(1_000, &[2.0], &[8.0]);
        let spikes = step.spikes();
        assert_eq!(onsets(&spikes), [300, 1_000], "{case}");
        assert_eq!(ends(&spikes), [End::NewLevel, End::Recovered], "{case}");
        assert_eq!(spikes[0].until.row, 800);
        assert!((spikes[1].height / 2.0).ln().abs() < 0.2, "{spikes:?}");

        // The last row.
        let mut last = curve(600);
        last.lift(599, &[4.0], &[10.0]);
        let spikes = last.spikes();
        assert_eq!(
            (onsets(&spikes), ends(&spikes)),
            (vec![599], vec![End::Open]),
            "{case}"
        );
        assert_eq!((spikes[0].steps(), spikes[0].examples()), (0, 0));
    }
}

/// 1,000 curves that decay, a third each with noise of growing and shrinking size, with Student's t(5), and with that
/// of small batches, whose mean of exponential losses is a gamma. What loss and gradient share of the noise is a mean
/// over a batch, and so normal. Forty other seeds raised 8 alarms together.
#[test]
fn healthy_noise_raises_one_alarm_in_a_thousand_runs_at_most() {
    assert!(alarms(0) <= 1);
}

fn alarms(seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let t5 = StudentT::new(5.0).unwrap();
    let mut alarms = 0;
    for curve in 0..1_000 {
        let floor = 10.0_f64.powf(rng.random_range(-1.5..0.7));
        let decay = rng.random_range(20.0..200.0);
        let noise = rng.random_range(0.003..0.12);
        let gradient_noise = rng.random_range(1.0..4.0);
        let pairs = f64::from(rng.random_range(8..256));
        let batch = Gamma::new(pairs, 1.0).unwrap();
        let mut loss = Vec::new();
        let mut gradient = Vec::new();
        for row in 0..400 {
            let shared: f64 = StandardNormal.sample(&mut rng);
            let (own, other) = match curve % 3 {
                0 => {
                    let size = 1.0 + 0.7 * (row as f64 / 30.0).sin();
                    let pair: [f64; 2] = [
                        StandardNormal.sample(&mut rng),
                        StandardNormal.sample(&mut rng),
                    ];
                    (size * pair[0], size * pair[1])
                }
                1 => (t5.sample(&mut rng), t5.sample(&mut rng)),
                _ => {
                    let mut mean = || (batch.sample(&mut rng) / pairs).ln() / noise;
                    (mean(), mean())
                }
            };
            let level = floor + (5.0 - floor).max(0.0) * (-f64::from(row) / decay).exp();
            loss.push(level * (noise * (0.5 * shared + own)).exp());
            gradient.push((gradient_noise * noise * (0.5 * shared + other)).exp());
        }
        let series = series(&[("loss", loss), ("grad_norm", gradient)]);
        alarms += found(&series).len();
    }
    alarms
}

#[test]
fn a_flat_curve_and_a_curve_of_nothing_raise_no_alarm() {
    let wiggle = (0..500)
        .map(|row| 2.0 + 1e-3 * f64::from(row % 7))
        .collect();
    assert_eq!(found(&series(&[("loss", wiggle)])), []);
    assert_eq!(found(&series(&[("loss", vec![0.0; 500])])), []);
    assert_eq!(found(&series(&[("accuracy", vec![0.5; 500])])), []);
}

/// A run with three spikes over two memories of the detector, one of them open across the border.
fn eventful() -> Curve {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut curve = Curve::new(&mut rng, 2 * MEMORY + 500, 1.0, 300.0, 0.02);
    curve.lift(MEMORY - 10, &[3.0; 50], &[10.0; 50]);
    curve.lift(MEMORY + 900, &[2.0; 5], &[10.0; 5]);
    curve.lift(2 * MEMORY + 450, &[3.0; 50], &[10.0; 50]);
    curve
}

#[test]
fn rows_that_come_in_bites_and_are_taken_back_give_the_same_spikes() {
    let curve = eventful();
    let whole = eventful().series();
    let expected = found(&whole);
    assert_eq!(expected.len(), 3);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut growing = Series::default();
    let mut spikes = Spikes::new(SpikeConfig::default());
    let mut rewinds = 0;
    while growing.len() < whole.len() {
        let until = (growing.len() + rng.random_range(1..900)).min(whole.len());
        for row in growing.len()..until {
            growing.push(
                position(row),
                [
                    ("loss", curve.loss[row]),
                    ("grad_norm", curve.gradient[row]),
                ],
            );
        }
        spikes.follow(&growing);
        if rewinds < 20 && rng.random_bool(0.5) {
            rewinds += 1;
            // A part that goes another way before it is taken back.
            (until..until + 60).for_each(|row| growing.push(position(row), [("loss", 50.0)]));
            spikes.follow(&growing);
            let back = until.saturating_sub(rng.random_range(0..1_500));
            growing.rewind(2 * back as u64);
            assert_eq!(growing.len(), back);
            spikes.truncate(back);
        }
    }
    assert_eq!(rewinds, 20);
    assert_eq!(spikes.found(), expected);
}

#[test]
fn an_open_spike_lasts_until_the_newest_row() {
    let whole = eventful().series();
    let mut part = whole.clone();
    part.rewind(2 * (MEMORY as u64 + 20));
    let spikes = found(&part);
    assert_eq!(
        (spikes[0].end, spikes[0].until.row),
        (End::Open, MEMORY + 19)
    );
    assert_eq!(spikes[0].onset, found(&whole)[0].onset);
}

#[test]
fn what_preceded_a_spike_is_told_with_its_lead() {
    let rows = 300;
    let flat = |value: f64, bumps: &[(usize, f64)]| {
        let mut values = vec![value; rows];
        bumps.iter().for_each(|(row, x)| values[*row] = *x);
        values
    };
    let mut columns = vec![
        ("loss", flat(2.0, &[(200, 5.0), (201, 3.0)])),
        (
            "grad_norm",
            flat(0.5, &[(150, 9.0), (198, 2.0), (200, 1.5), (201, 4.0)]),
        ),
        ("update_norm", flat(0.1, &[(199, 0.4)])),
        // Stale long before, and at the onset alone: neither precedes it.
        ("staleness/image.head", flat(1.0, &[(150, 9.0)])),
        ("staleness/text.head", flat(1.0, &[(200, 9.0)])),
        // Above the threshold all along, which is no jump.
        ("staleness/text.embed", flat(3.0, &[])),
        (
            "staleness/image.patch",
            flat(1.0, &[(196, 2.5), (197, 4.5), (200, 8.0)]),
        ),
        ("staleness/image.block.0", flat(1.0, &[(197, 6.0)])),
        ("staleness/image.block.1", flat(1.0, &[(196, 2.4)])),
    ];
    let spike = found(&series(&columns)).remove(0);
    assert_eq!(
        spike.onset,
        Moment {
            row: 200,
            step: 402,
            examples: 4_020,
            seconds: 100.0
        }
    );
    assert_eq!(
        (spike.recovery(), spike.steps(), spike.examples()),
        (Some(406), 4, 40)
    );
    assert!((spike.height - 2.5).abs() < 1e-12);
    assert!(
        (spike.z - 2.5_f64.ln() / 0.02).abs() < 1e-9,
        "on a flat curve the floor is the scale"
    );
    assert!((spike.gradient_ratio.unwrap() - 8.0).abs() < 1e-9);
    assert_eq!(
        spike.preceding,
        Preceding {
            gradient: Some(Rise {
                ratio: 4.0,
                row: 198,
                lead: 4
            }),
            update: Some(Rise {
                ratio: 4.0,
                row: 199,
                lead: 2
            }),
            stale: Some(Stale {
                layer: "image.patch".into(),
                staleness: 4.5,
                row: 196,
                lead: 8
            }),
        }
    );
    assert_eq!(
        spike.preceding.to_string(),
        "second moment of image.patch stale (4.5) 8 steps before, gradient ×4.0 4 steps before, update ×4.0 2 steps before"
    );
    columns.truncate(1);
    let spike = found(&series(&columns)).remove(0);
    assert_eq!(
        (spike.preceding, spike.gradient_ratio),
        (Preceding::default(), None)
    );
}
