//! `siglab bench step`: how long one update of a small model takes, from pixels and tokens to moved parameters, by what
//! trains a run. The model is that of a small CLIP which others are timed on too (benches/step_beside_torch.py).

use std::time::Instant;

use serde_json::{Value, json};

use super::{DONE, Seconds, memory, peak_memory, print, time, use_threads, word};
use crate::train::TrainConfig;
use crate::train::data::shapes::ShapesConfig;
use crate::train::data::{DataConfig, Source};
use crate::train::device;
use crate::train::feed::{Feed, Parts};
use crate::train::mesh::Mesh;
use crate::train::model::{ImagePool, Projection, TextPool};
use crate::train::ops::{Checkpointing, Precision};
use crate::train::optim::Decay;
use crate::train::profile::{Span, profile, span};
use crate::train::step::State;

/// Time one update of a small model: forward, loss, backward, optimiser.
///
/// Images of 32 x 32 in patches of 4, width 192, depth 6; texts of 16 tokens of 512, width 192, depth 4; 3 heads, mean
/// pooling, embeddings of 192, the sigmoid loss and AdamW: 4.65 million parameters. Or, for a GPU, the size of SigLIP's B/16.
/// Pictures and captions are drawn as in a run, and the time for it counts.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Pairs of an update.
    #[arg(long, value_name = "PAIRS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    batch: u32,
    /// The towers: small as above; or b16, images of 224 x 224 in patches of 16 and 64 tokens of 32,000, both width 768, depth
    /// 12, 12 heads, and embeddings of 768.
    #[arg(long, value_enum, default_value_t = Towers::Small)]
    model: Towers,
    /// Updates that are timed, after one to warm up.
    #[arg(long, value_name = "UPDATES", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Where it is computed.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Of the products in the towers' blocks.
    #[arg(long, value_enum, default_value_t = Numbers::F32)]
    precision: Numbers,
    /// Compute again in the backward pass what is inside of blocks.
    #[arg(long)]
    checkpoint: bool,
    /// Threads of the whole process [default: as many as cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Say where the time goes.
    #[arg(long)]
    profile: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Numbers {
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Towers {
    Small,
    B16,
}

/// What the baseline in PyTorch is made of.
fn config(towers: Towers, batch: usize) -> TrainConfig {
    let b16 = towers == Towers::B16;
    let (image_size, patch, context, vocabulary) = match towers {
        Towers::Small => (32, 4, 16, 512),
        Towers::B16 => (224, 16, 64, 32_000),
    };
    let (width, heads) = if b16 { (768, 12) } else { (192, 3) };
    let data = ShapesConfig {
        image_size,
        ..ShapesConfig::default()
    };
    let mut config = TrainConfig {
        data: DataConfig::Shapes(data),
        ..TrainConfig::default()
    };
    config.model.embed_dim = width;
    let image = &mut config.model.image;
    let depth = if b16 { 12 } else { 6 };
    (image.width, image.depth, image.heads, image.patch) = (width, depth, heads, patch);
    (image.pool, image.projection) = (ImagePool::Mean, Projection::NoBias);
    image.norm_eps = 1e-5;
    let text = &mut config.model.text;
    let depth = if b16 { 12 } else { 4 };
    (text.width, text.depth, text.heads, text.context) = (width, depth, heads, context);
    (text.pool, text.projection) = (TextPool::Mean, Projection::NoBias);
    (text.norm_eps, text.vocabulary) = (1e-5, vocabulary);
    let optim = &mut config.optim;
    (optim.lr, optim.beta1, optim.beta2, optim.eps) = (1e-3, 0.9, 0.999, 1e-8);
    (optim.weight_decay, optim.clip_norm) = (0.01, 0.0);
    (optim.schedule.decay, optim.schedule.warmup) = (Decay::Constant, 0);
    config.train.batch_size = batch;
    config
}

impl Args {
    fn config(&self) -> TrainConfig {
        let mut config = config(self.model, self.batch as usize);
        config.train.precision = match self.precision {
            Numbers::F32 => Precision::F32,
            Numbers::Bf16 => Precision::Bf16,
        };
        config.train.checkpointing = if self.checkpoint {
            Checkpointing::Blocks
        } else {
            Checkpointing::Off
        };
        config
    }
}

struct Measured {
    seconds: Seconds,
    loss: f64,
    parameters: usize,
    /// Of all timed updates; empty when nobody asks.
    spans: Vec<Span>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    use_threads(args.threads, 1)?;
    let measured = measure(&args, &args.config())?;
    let peak = peak_memory();
    let text = if args.json {
        format!("{}\n", object(&args, &measured, peak))
    } else {
        table(&args, &measured, peak)
    };
    print(&text)?;
    Ok(DONE)
}

fn measure(args: &Args, config: &TrainConfig) -> anyhow::Result<Measured> {
    let device = device::open(&args.device)?;
    let source = Source::open(&config.data, config.model.text.context, config.seed)?;
    let mut state = State::new(config, &source, &device);
    let mesh = Mesh::alone();
    let mut feed = Feed::when_asked(Parts::new(config, &mesh, &source, state.sides().clone()));
    let mut update = |step: u64| {
        let start = Instant::now();
        let update = state.update(config, &mesh, &mut feed, step, false);
        anyhow::Ok((start.elapsed().as_secs_f64(), update?.loss))
    };
    update(1)?;
    let mut all = || -> anyhow::Result<Vec<(f64, f64)>> {
        let steps = 2..u64::from(args.repeat) + 2;
        steps.map(|step| span("update", || update(step))).collect()
    };
    let (runs, spans) = if args.profile {
        profile(all)
    } else {
        (all(), Vec::new())
    };
    let runs = runs?;
    Ok(Measured {
        loss: runs.last().map_or(f64::NAN, |(_, loss)| *loss),
        seconds: Seconds::of(runs.into_iter().map(|(seconds, _)| seconds).collect()),
        parameters: state.layout.length(),
        spans,
    })
}

fn object(args: &Args, measured: &Measured, peak: Option<f64>) -> Value {
    let seconds = &measured.seconds;
    let mut object = json!({
        "case": "step",
        "impl": args.device,
        "batch": args.batch,
        "parameters": measured.parameters,
        "model": word(args.model),
        "median_s": seconds.median(),
        "min_s": seconds.least(),
        "max_s": seconds.most(),
        "peak_rss_mb": peak,
        "check": { "loss": measured.loss },
        "precision": word(args.precision),
        "checkpoint": args.checkpoint,
        "threads": rayon::current_num_threads(),
    });
    if args.profile {
        let lines = Lines::of(&measured.spans, rayon::current_num_threads()).0;
        let lines = lines.iter().map(|line| {
            json!({ "depth": line.depth, "name": line.name, "s": line.seconds / f64::from(args.repeat), "share": line.share })
        });
        object["profile"] = lines.collect();
    }
    object
}

fn table(args: &Args, measured: &Measured, peak: Option<f64>) -> String {
    let threads = rayon::current_num_threads();
    let mut text = format!(
        "step      {} parameters, B {}, {}, {}{}, threads {threads}\ntime      {}\nrate      {:.1} pairs a second\nmemory    {}\ncheck     loss {:.6}\n",
        measured.parameters,
        args.batch,
        args.device,
        word(args.precision),
        if args.checkpoint {
            ", checkpointed"
        } else {
            ""
        },
        measured.seconds,
        f64::from(args.batch) / measured.seconds.median(),
        memory(peak),
        measured.loss,
    );
    if args.profile {
        let lines = Lines::of(&measured.spans, threads);
        text.push('\n');
        for line in &lines.0 {
            let name = format!("{:indent$}{}", "", line.name, indent = 2 * line.depth);
            let time = time(line.seconds / f64::from(args.repeat));
            text += &format!("{name:<24} {time:>12} {:>6.1} %\n", 100.0 * line.share);
        }
        let rest = 100.0 * lines.rest();
        text += &format!(
            "{rest:.1} % of the time has no name: \"rest\" is what no span inside of another has\n"
        );
    }
    text
}

/// A profile as it is shown: each span followed by what lies in it, and by what is left of it.
struct Lines(Vec<Line>);

struct Line {
    depth: usize,
    name: &'static str,
    seconds: f64,
    /// Of all time.
    share: f64,
}

const REST: &str = "rest";

impl Lines {
    /// The time that `threads` share counts as that of each.
    fn of(spans: &[Span], threads: usize) -> Self {
        let mut lines = Vec::new();
        let total = within(spans, &[]).map(|s| wall(s, threads)).sum();
        write(spans, &[], (threads, total), &mut lines);
        Self(lines)
    }

    /// The share of what no span tells more of.
    fn rest(&self) -> f64 {
        let rest = self.0.iter().filter(|line| line.name == REST);
        rest.map(|line| line.share).sum()
    }
}

/// The spans that lie directly in the one at `path`.
fn within<'a>(spans: &'a [Span], path: &'a [&str]) -> impl Iterator<Item = &'a Span> {
    spans
        .iter()
        .filter(move |s| s.path.len() == path.len() + 1 && s.path.starts_with(path))
}

fn wall(span: &Span, threads: usize) -> f64 {
    let share = if span.is_shared { threads as f64 } else { 1.0 };
    span.time.as_secs_f64() / share
}

fn write(spans: &[Span], path: &[&'static str], of: (usize, f64), lines: &mut Vec<Line>) {
    let (threads, total) = of;
    for span in within(spans, path) {
        let seconds = wall(span, threads);
        let depth = path.len();
        let mut line = |depth, name, seconds| {
            lines.push(Line {
                depth,
                name,
                seconds,
                share: seconds / total,
            });
        };
        line(depth, span.path[depth], seconds);
        let inside: f64 = within(spans, &span.path).map(|s| wall(s, threads)).sum();
        write(spans, &span.path, of, lines);
        if inside > 0.0 {
            let rest = (seconds - inside).max(0.0);
            lines.push(Line {
                depth: depth + 1,
                name: REST,
                seconds: rest,
                share: rest / total,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_model_is_that_of_the_baseline() {
        for towers in [Towers::Small, Towers::B16] {
            config(towers, 256).validate().unwrap();
        }
        let config = config(Towers::Small, 256);
        let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
        let state = State::new(&config, &source, &device::open("cpu").unwrap());
        assert_eq!(state.layout.length(), 4_646_210);
    }

    #[test]
    fn a_profile_says_what_is_left() {
        let span = |path: &[&'static str], ms, is_shared| Span {
            path: path.to_vec(),
            time: Duration::from_millis(ms),
            count: 1,
            is_shared,
        };
        let spans = [
            span(&["update"], 100, false),
            span(&["update", "forward"], 60, false),
            span(&["update", "forward", "products"], 80, true),
            span(&["update", "optimiser"], 30, false),
        ];
        let lines = Lines::of(&spans, 2);
        let seen: Vec<_> = lines
            .0
            .iter()
            .map(|l| (l.depth, l.name, (100.0 * l.share).round()))
            .collect();
        let expected = [
            (0, "update", 100.0),
            (1, "forward", 60.0),
            (2, "products", 40.0),
            (2, REST, 20.0),
            (1, "optimiser", 30.0),
            (1, REST, 10.0),
        ];
        assert_eq!(seen, expected);
        assert!((lines.rest() - 0.3).abs() < 1e-9);
    }
}
