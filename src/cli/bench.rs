//! `siglab bench`: how long the parts of training take on this machine.
//!
//! `siglab bench loss`: how long one pass of a loss takes on this machine, value and all gradients, on inputs like those
//! of a first step, and how much memory. What comes out says too what was computed, so that two programs, or two
//! settings of one, can be seen to do the same work.

mod data;
pub mod multiply;
mod product;
mod step;

use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::{Value, json};

use crate::train::config::LoopConfig;
use crate::train::device::set_threads;
use crate::train::loss::{
    Draw, Labels, LossConfig, LossError, LossOutput, Pairs, SigmoidConfig, SoftmaxConfig,
};
use crate::train::mesh::Mesh;

use super::{DONE, print};
use multiply::{Arithmetic, Multiply, Placed, Share};

#[derive(clap::Subcommand, Debug)]
pub enum Bench {
    /// Time the loss of one batch with all its gradients.
    ///
    /// Images and texts are rows of standard normals, normalised, with t = 10 and b = -10; after a run to warm up, the
    /// gradients of images, texts, t and b are computed again and again.
    Loss(Args),
    Step(step::Args),
    Data(data::Args),
}

impl Bench {
    /// Where it is computed.
    pub fn device(&self) -> &str {
        match self {
            Self::Loss(args) => &args.multiply.device,
            Self::Step(args) => &args.device,
            Self::Data(_) => "cpu",
        }
    }
}

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The loss.
    #[arg(long, value_enum, default_value_t = Kind::Sigmoid)]
    kind: Kind,
    #[command(flatten)]
    multiply: Multiply,
    /// Pairs of all ranks together.
    #[arg(long, value_name = "PAIRS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    batch: u32,
    /// Width of the embeddings.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    dim: u32,
    /// Side of the square of logits that exists at one time; 0 is the fastest of some that are tried, on a device of a
    /// library's [default: that of a run].
    #[arg(long)]
    tile: Option<u32>,
    /// Ranks of the ring that share the batch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    ranks: u16,
    /// Runs that are timed.
    #[arg(long, value_name = "RUNS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Threads of the whole process [default: as many as cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Sigmoid,
    Softmax,
}

/// The word that stands for `value` on the command line.
fn word(value: impl clap::ValueEnum) -> String {
    let known = value.to_possible_value();
    known.map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Kind {
    fn config(self) -> LossConfig {
        match self {
            Self::Sigmoid => LossConfig::Sigmoid(SigmoidConfig::default()),
            Self::Softmax => LossConfig::Softmax(SoftmaxConfig::default()),
        }
    }
}

/// What is computed, and where it starts.
struct Case {
    config: LossConfig,
    /// `[batch, dim]`.
    image: Vec<f32>,
    text: Vec<f32>,
    dim: usize,
    arithmetic: Arithmetic,
    ranks: usize,
}

/// The logit scale and the bias of all runs.
const T: f64 = 10.0;
const BIAS: f64 = -10.0;

/// What a run computed, in few numbers: gradients as norms, that of t and not of its log.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Digest {
    loss: f64,
    d_image: f64,
    d_text: f64,
    d_t: f64,
    d_bias: f64,
}

struct Measured {
    seconds: Seconds,
    digest: Digest,
}

/// Of each timed run, least first.
struct Seconds(Vec<f64>);

pub fn run(bench: Bench) -> anyhow::Result<u8> {
    let args = match bench {
        Bench::Loss(args) => args,
        Bench::Step(args) => return step::run(args),
        Bench::Data(args) => return data::run(args),
    };
    use_threads(args.threads, args.ranks)?;
    let side = args.tile.map_or(LoopConfig::default().tile, |t| t as usize);
    let mut arithmetic = args.multiply.arithmetic(side)?;
    if side == 0 {
        let shape = (
            args.batch as usize / usize::from(args.ranks),
            args.dim as usize,
        );
        let side = arithmetic.fastest_side(&args.kind.config(), shape)?;
        arithmetic = args.multiply.arithmetic(side)?;
    }
    let case = Case {
        config: args.kind.config(),
        image: unit_rows(1, args.batch as usize, args.dim as usize),
        text: unit_rows(2, args.batch as usize, args.dim as usize),
        dim: args.dim as usize,
        arithmetic,
        ranks: args.ranks.into(),
    };
    let measured = case.measure(args.repeat.into())?;
    let peak = peak_memory();
    let text = if args.json {
        format!("{}\n", object(&args, &case, &measured, peak))
    } else {
        drop((case.image, case.text));
        // After the peak was read: the products' matrices are none of the loss's.
        let rate = arithmetic.rate(args.dim as usize);
        table(&args, case.arithmetic, &measured, peak, rate)
    };
    print(&text)?;
    Ok(DONE)
}

impl Case {
    /// Run once to warm up and `repeat` times with a clock.
    fn measure(&self, repeat: usize) -> Result<Measured, LossError> {
        let mut digest = self.once()?.1;
        let mut seconds = Vec::with_capacity(repeat);
        for _ in 0..repeat {
            let (time, again) = self.once()?;
            seconds.push(time);
            digest = again;
        }
        Ok(Measured {
            seconds: Seconds::of(seconds),
            digest,
        })
    }

    /// Seconds of one run, and what came out. What is compared lies where it is computed before the clock starts, and the
    /// gradients stay there.
    fn once(&self) -> Result<(f64, Digest), LossError> {
        let batch = self.image.len() / self.dim;
        let rows = |rank: usize| {
            let bound = |rank: usize| batch * rank / self.ranks * self.dim;
            bound(rank)..bound(rank + 1)
        };
        let placed = (0..self.ranks).map(|rank| {
            let pairs = Pairs {
                image: &self.image[rows(rank)],
                text: self.text[rows(rank)].to_vec(),
                dim: self.dim,
                batch,
                plan: self.arithmetic.plan,
                labels: Labels::Partners,
                learns: [true; 2],
                look: false,
                draw: Draw::default(),
            };
            Mutex::new(Some(self.arithmetic.place(pairs)))
        });
        let placed: Vec<Mutex<Option<Placed>>> = placed.collect();
        let start = Instant::now();
        let shares = Mesh::run_alike(self.ranks, |mesh| {
            let own = placed[mesh.rank()].lock().expect("one taker a rank").take();
            let own = own.expect("one taker a rank");
            own.share(&self.config, &mesh, T.ln(), BIAS)
        });
        let seconds = start.elapsed().as_secs_f64();
        let shares = shares.into_iter().map(|share| share.map(Share::on_host));
        let shares: Vec<LossOutput<f32>> = shares.collect::<Result<_, _>>()?;
        Ok((seconds, Digest::of(&shares)))
    }
}

impl Digest {
    fn of(shares: &[LossOutput<f32>]) -> Self {
        let sum = |f: fn(&LossOutput<f32>) -> f64| shares.iter().map(f).sum::<f64>();
        let squares = |d: &[f32]| d.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        Self {
            loss: sum(|s| s.loss),
            d_image: shares
                .iter()
                .map(|s| squares(&s.d_image))
                .sum::<f64>()
                .sqrt(),
            d_text: shares
                .iter()
                .map(|s| squares(&s.d_text))
                .sum::<f64>()
                .sqrt(),
            d_t: sum(|s| s.d_log_t) / T,
            d_bias: sum(|s| s.d_bias),
        }
    }
}

impl Seconds {
    fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self(runs)
    }

    fn median(&self) -> f64 {
        let (n, s) = (self.0.len(), &self.0);
        0.5 * (s[(n - 1) / 2] + s[n / 2])
    }

    fn least(&self) -> f64 {
        self.0[0]
    }

    fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, least, most] = [self.median(), self.least(), self.most()].map(time);
        write!(f, "{median} median of {}, {least} to {most}", self.0.len())
    }
}

/// `count` independent directions `[count, dim]`.
fn unit_rows(seed: u64, count: usize, dim: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows: Vec<f32> = Vec::with_capacity(count * dim);
    rows.extend((0..count * dim).map(|_| rng.sample::<f32, _>(StandardNormal)));
    for row in rows.chunks_exact_mut(dim) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    rows
}

/// Let the whole process have so many threads for all ranks, or as many as cores.
fn use_threads(threads: Option<usize>, ranks: u16) -> anyhow::Result<()> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(cores);
    set_threads(threads, ranks.into()).context("the thread pool was started already")
}

/// The most memory that this process held at any time, in MiB; none where the system does not say.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

fn object(args: &Args, case: &Case, measured: &Measured, peak: Option<f64>) -> Value {
    let Digest {
        loss,
        d_image,
        d_text,
        d_t,
        d_bias,
    } = measured.digest;
    json!({
        "case": "loss",
        "impl": case.arithmetic.name(),
        "batch": args.batch,
        "dim": args.dim,
        "median_s": measured.seconds.median(),
        "min_s": measured.seconds.least(),
        "max_s": measured.seconds.most(),
        "peak_rss_mb": peak,
        "check": { "loss": loss, "d_image": d_image, "d_text": d_text, "d_t": d_t, "d_bias": d_bias },
        "kind": word(args.kind),
        "tile": case.arithmetic.plan.side,
        "ranks": case.ranks,
        "precision": case.arithmetic.precision().name(),
        "threads": rayon::current_num_threads(),
    })
}

/// `rate` is that of plain products, in operations a second.
fn table(
    args: &Args,
    arithmetic: Arithmetic,
    measured: &Measured,
    peak: Option<f64>,
    rate: f64,
) -> String {
    let (batch, dim) = (f64::from(args.batch), f64::from(args.dim));
    let operations = 6.0 * batch * batch * dim;
    let (median, bound) = (measured.seconds.median(), operations / rate);
    let d = measured.digest;
    let memory = memory(peak);
    let lines = [
        (
            "loss",
            format!(
                "{}, B {}, D {}, tile {}, ranks {}, {}, {}, threads {}",
                word(args.kind),
                args.batch,
                args.dim,
                arithmetic.plan.side,
                args.ranks,
                arithmetic.precision().name(),
                arithmetic.name(),
                rayon::current_num_threads()
            ),
        ),
        ("time", measured.seconds.to_string()),
        (
            "products",
            format!(
                "{} for 6 B² D operations at {:.0} GFLOP/s of plain products; the loss takes {:.2} times as long",
                time(bound),
                rate / 1e9,
                median / bound
            ),
        ),
        ("memory", memory),
        (
            "check",
            format!(
                "loss {:.6}, |d image| {:.4e}, |d text| {:.4e}, d t {:.4e}, d b {:.4e}",
                d.loss, d.d_image, d.d_text, d.d_t, d.d_bias
            ),
        ),
    ];
    let lines = lines.map(|(name, value)| format!("{name:<9} {value}\n"));
    lines.concat()
}

fn memory(peak: Option<f64>) -> String {
    peak.map_or("unknown".into(), |mib| {
        format!("{mib:.0} MiB at most, the whole process")
    })
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.3} ms", 1e3 * seconds)
    } else {
        format!("{seconds:.3} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::{Plan, contrastive};

    fn case(kind: Kind, ranks: usize, tile: usize) -> Case {
        Case {
            config: kind.config(),
            image: unit_rows(1, 24, 8),
            text: unit_rows(2, 24, 8),
            dim: 8,
            arithmetic: Plan::in_squares_of(tile).into(),
            ranks,
        }
    }

    #[test]
    fn what_is_timed_is_the_same_work_on_every_ring_and_tile() {
        for kind in [Kind::Sigmoid, Kind::Softmax] {
            let alone = case(kind, 1, 24).measure(3).unwrap();
            let seconds = &alone.seconds;
            assert_eq!(seconds.0.len(), 3);
            assert!(seconds.least() <= seconds.median() && seconds.median() <= seconds.most());
            for (ranks, tile) in [(1, 5), (3, 7), (5, 24)] {
                let digest = case(kind, ranks, tile).measure(1).unwrap().digest;
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs();
                assert!(
                    near(digest.loss, alone.digest.loss)
                        && near(digest.d_image, alone.digest.d_image)
                        && near(digest.d_text, alone.digest.d_text)
                        && near(digest.d_t, alone.digest.d_t),
                    "{digest:?} {:?}",
                    alone.digest
                );
            }
        }
    }

    #[test]
    fn gradients_of_t_are_not_those_of_its_log() {
        let run = |t: f64| {
            let case = case(Kind::Sigmoid, 1, 24);
            let pairs = Pairs {
                image: &case.image,
                text: case.text.clone(),
                dim: 8,
                batch: 24,
                plan: Plan::in_squares_of(24),
                labels: Labels::Partners,
                learns: [true; 2],
                look: false,
                draw: Draw::default(),
            };
            contrastive(&case.config, &Mesh::alone(), pairs, t.ln(), BIAS).unwrap()
        };
        let slope = (run(T + 0.1).loss - run(T - 0.1).loss) / 0.2;
        let d_t = Digest::of(&[run(T)]).d_t;
        assert!((d_t / slope - 1.0).abs() < 1e-3, "{d_t} {slope}");
    }
}
