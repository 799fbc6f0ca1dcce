//! One update: embed the rank's slice of the batch, take loss and gradients in closed form, send them through the
//! towers, add them up over ranks, move the parameters. The gradient of the loss enters the tape through a surrogate
//! whose gradient is the one wanted: (z · stop_gradient(∂L/∂z)).sum().

pub mod compare;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::TrainConfig;
use super::data::{DataError, Source};
use super::device::{all_reduce, host, vector};
use super::feed::{Ask, Feed, Pass};
use super::inputs::{self, Content};
use super::loss::on_device::TensorPairs;
use super::loss::{
    ClassifyConfig, Draw, Extent, Hardest, Labels, LossConfig, LossError, Scalar, classify,
};
use super::mesh::Mesh;
use super::model::params::{Layout, Scalars};
use super::model::{Inputs, Model, initialise};
use super::optim::staleness::staleness;
use super::optim::{self, Norms, Optimiser, Rates};
use super::profile::span;
use super::rollback::Watch;
use super::side::{Reading, SharedCache, Side};
use super::snapshot::Settings;
use crate::record::RunDir;
use compare::compare;

/// Everything that an update changes, on one rank. All ranks hold bit-equal copies.
pub struct State {
    pub device: Device,
    pub model: Model,
    pub layout: Layout,
    /// The layout's groups with what each gets of an update.
    groups: Vec<(Range<usize>, Rates)>,
    /// The layout's layers, for what is measured of each.
    layers: BTreeMap<String, Vec<Range<usize>>>,
    /// All parameters, `[layout.length()]`, without autodiff; `model` holds the same values.
    pub flat: Tensor<1>,
    pub optimiser: Box<dyn Optimiser>,
    /// What a contrastive loss compares.
    sides: [Side; 2],
    /// What a checkpoint says of the model.
    pub settings: Settings,
    /// What a spike of the loss is told by, in a run that goes back from one.
    pub watch: Option<Watch>,
}

/// What one update saw, over all ranks.
#[derive(Clone, Debug)]
pub struct Update {
    pub loss: f64,
    pub norms: Norms,
    pub lr: f64,
    pub log_t: Option<f64>,
    pub bias: Option<f64>,
    pub positive: Extent,
    pub negative: Extent,
    /// How many negatives counted, when the loss may leave some out.
    pub negatives_kept: Option<u64>,
    /// The share of the gradient that is due to positives, and that due to the hardest hundredth of the negatives.
    pub grad_share_positive: Option<f64>,
    pub grad_share_hardest: Option<f64>,
    /// What all ranks sent to others.
    pub bytes_sent: Option<u64>,
    /// How long this update and those before it waited for what the towers read, on the rank that waited longest.
    pub waited: Duration,
    /// Why there was no loss, when what went into it was not finite.
    pub problem: Option<LossError>,
    /// What only the steps that are logged pay for.
    pub details: Option<Details>,
}

/// The part of the negatives whose share of the gradient is told.
const HARDEST: f64 = 0.01;

/// A closer look at an update; nothing that is trained depends on whether it is taken.
#[derive(Clone, Debug)]
pub struct Details {
    /// Global L2 norm of the parameters after the update.
    pub param_norm: f64,
    /// Of each layer, see [`staleness`](super::optim::staleness); none where the optimiser has no second moment.
    pub staleness: BTreeMap<String, f64>,
}

impl Update {
    /// False when the loss, the gradient or the change of the parameters overflowed or is undefined.
    pub fn is_finite(&self) -> bool {
        let Norms { gradient, update } = self.norms;
        [self.loss, gradient, update]
            .into_iter()
            .all(f64::is_finite)
    }
}

impl State {
    /// The start of the run that `config` describes.
    pub fn new(config: &TrainConfig, source: &Source, device: &Device) -> Self {
        let tape = device.clone().autodiff();
        let inputs = inputs_of(config, source);
        let mut model = Model::zeros(&config.model, &config.loss, inputs, &tape);
        model.set_compute(config.train.compute());
        let layout = Layout::of(&model);
        let flat = initialise(&layout, config, device);
        let optimiser = config.optim.begin(&layout, device);
        let model = layout.assign(model, &flat);
        let groups = layout.groups().into_iter();
        let groups = groups.map(|(group, range)| (range, config.optim.rates(group, &config.loss)));
        Self {
            device: device.clone(),
            model,
            groups: groups.collect(),
            layers: layout.layers(),
            layout,
            flat,
            optimiser,
            sides: Side::both(config),
            settings: Settings {
                model: config.model.clone(),
                loss: config.loss.clone(),
                inputs,
                data: config.data.clone(),
            },
            watch: Watch::new(&config.train.rollback),
        }
    }

    /// Let `fill` change the parameters, which it gets in the order of the layout.
    pub fn fill<T>(
        &mut self,
        fill: impl FnOnce(&Layout, &mut [f32]) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut values = host(self.flat.clone());
        let done = fill(&self.layout, &mut values)?;
        self.set(vector(values, &self.device));
        Ok(done)
    }

    /// Replace all parameters.
    pub fn set(&mut self, flat: Tensor<1>) {
        self.flat = flat;
        self.model = self.layout.assign(self.model.clone(), &self.flat);
    }

    /// Unlock the towers whose time has come after `seen` examples.
    pub fn unlock(&mut self, config: &TrainConfig, seen: u64) {
        let sides = self.sides.iter_mut();
        sides.for_each(|side| side.unlock(config, seen));
    }

    /// The caches that `config` asks for, one a side at most; `dir` is the run's. All ranks may use the same.
    pub fn open_caches(
        &self,
        config: &TrainConfig,
        source: &Source,
        dir: &RunDir,
    ) -> anyhow::Result<[Option<SharedCache>; 2]> {
        let [image, text] = &self.sides;
        let weights = (&self.layout, &self.flat);
        let open = |side: &Side| side.open_cache(config, source, weights, dir);
        Ok([open(image)?, open(text)?])
    }

    /// What a contrastive loss compares.
    pub fn sides(&self) -> &[Side; 2] {
        &self.sides
    }

    pub fn set_caches(&mut self, caches: [Option<SharedCache>; 2]) {
        for (side, cache) in self.sides.iter_mut().zip(caches) {
            side.cache = cache;
        }
    }

    /// Leave no file of a cache in the run's directory `dir`.
    pub fn discard_caches(&mut self, dir: &RunDir) -> std::io::Result<()> {
        let mut sides = self.sides.iter_mut();
        sides.try_for_each(|side| side.discard_cache(dir))
    }

    /// Make update number `step`, counted from 1, of what `feed` has; `look`, alike on all ranks, asks for its [`Details`],
    /// which rank 0 has, and for what the hardest negatives do.
    pub fn update(
        &mut self,
        config: &TrainConfig,
        mesh: &Mesh,
        feed: &mut Feed,
        step: u64,
        look: bool,
    ) -> anyhow::Result<Update> {
        let global = config.train.batch_size as u64;
        let before = (step - 1) * global;
        self.unlock(config, before);

        let (log_t, bias) = (self.scalar("log_t"), self.scalar("bias"));
        let sent = mesh.bytes_sent();
        let part = match &config.loss {
            LossConfig::Classify(c) => Ok(self.supervised(c, config, feed, step)?),
            LossConfig::Sigmoid(_) | LossConfig::Softmax(_) => {
                self.contrastive(config, mesh, feed, (step, look))?
            }
        };
        let (part, problem) = match part {
            Ok(part) => (part, None),
            Err(problem) => (self.nothing(), Some(problem)),
        };
        let mut gradient = part.gradient;
        if mesh.size() > 1 {
            gradient = all_reduce(mesh, gradient)?;
        }
        let mut seen = Seen::default();
        let bytes = mesh.bytes_sent() - sent;
        let waited = feed.waited();
        let own = Seen {
            bytes,
            waited,
            ..part.seen
        };
        for part in mesh.gather(own)? {
            seen.merge(&part);
        }
        let Seen {
            loss,
            positive,
            negative,
            ..
        } = seen;

        let schedule = &config.optim.schedule;
        let factor = schedule.factor(before, global, config.examples());
        let mut stretches = optim::stretches(&config.optim, &self.groups, global, step, factor);
        if !loss.is_finite() {
            // The run ends here: its weights stay those that the loss is of.
            stretches.clear();
        }
        let (optimiser, flat) = (&mut *self.optimiser, &mut self.flat);
        let norms = span("optimiser", || {
            optim::update(&config.optim, optimiser, &stretches, flat, &gradient)
        });
        span("assign", || {
            self.set(clamp_log_t(&self.layout, &config.loss, self.flat.clone()));
        });
        let look = look && mesh.rank() == 0;
        let details = look.then(|| {
            let moment = self.optimiser.second_moment();
            let moment = moment.filter(|_| norms.gradient.is_finite());
            let clip = config.optim.clip_factor(norms.gradient);
            let of = |moment| staleness(&moment, &self.layers, &stretches, &gradient, clip);
            Details {
                param_norm: optim::norm(&self.flat),
                staleness: moment.map_or_else(BTreeMap::new, of),
            }
        });
        Ok(Update {
            loss,
            norms,
            lr: config.optim.lr * factor,
            log_t,
            bias,
            positive,
            negative,
            negatives_kept: config.loss.leaves_out_negatives().then_some(negative.count),
            grad_share_positive: seen.share_of_positives(&config.loss),
            grad_share_hardest: seen.hardest.share(HARDEST),
            bytes_sent: (mesh.size() > 1).then_some(seen.bytes),
            waited: seen.waited,
            problem,
            details,
        })
    }

    /// Loss and gradient of the rank's slice of the batch. When it comes in more than one part, a first pass embeds
    /// them all without a tape, and the second draws, embeds and tapes one at a time. What a locked tower embedded is
    /// not embedded again. The inner error is one of numbers: what went into the loss was not finite.
    fn contrastive(
        &self,
        config: &TrainConfig,
        mesh: &Mesh,
        feed: &mut Feed,
        (step, look): (u64, bool),
    ) -> anyhow::Result<Result<Part, LossError>> {
        let [log_t, bias] = ["log_t", "bias"].map(|name| self.scalar(name).unwrap_or(0.0));
        let dim = config.model.embed_dim;
        let (tape, plain) = (self.device.clone().autodiff(), self.model.valid());
        let sides = &self.sides;
        let is_whole = feed.count() == 1;
        let (mut taped, mut embedded) = ([None, None], [None, None]);
        let mut classes = [Vec::new(), Vec::new()];
        for part in 0..feed.count() {
            let pass = Pass::First;
            let part = feed.take(Ask { step, pass, part })?;
            let into = taped.iter_mut().zip(&mut embedded);
            for ((side, reading), (taped, all)) in sides.iter().zip(part.sides).zip(into) {
                let reading = reading.expect("the loss is of both sides");
                if is_whole && !side.locked {
                    let z = span("forward", || side.embed(&self.model, reading, &tape));
                    *all = Some(taped.insert(z).clone().inner());
                } else {
                    let z = side.embed_plain(&plain, reading, &self.device);
                    let zeros = || Tensor::zeros([feed.share(), dim], &self.device);
                    let before = all.take().unwrap_or_else(zeros);
                    *all = Some(before.slice_assign([part.range.clone(), 0..dim], z));
                }
            }
            for (all, part) in classes.iter_mut().zip(part.classes.unwrap_or_default()) {
                all.extend(part.into_iter().map(i32::cast_unsigned));
            }
        }
        let [image, text] = embedded.map(|z| z.expect("a slice has a part"));
        let pairs = TensorPairs {
            image,
            text,
            batch: config.train.batch_size,
            side: config.train.tile,
            precision: config.train.loss_precision,
            way: config.train.ring,
            learns: [0, 1].map(|side| !sides[side].locked),
            labels: match config.loss.positives_by_class() {
                true => Labels::Classes {
                    image: &classes[0],
                    text: &classes[1],
                },
                false => Labels::Partners,
            },
            draw: Draw {
                seed: config.seed,
                step,
            },
        };
        let found = span("loss", || {
            compare(&config.loss, mesh, pairs, look, (log_t, bias))
        });
        let found = match found {
            Err(problem) if problem.is_of_numbers() => return Ok(Err(problem)),
            found => found?,
        };
        let out = found.sums;

        let learned = |scalar: Option<Scalar>, gradient: f64| {
            scalar.filter(|s| s.learned).map_or(0.0, |_| gradient)
        };
        let scalars = Scalars {
            log_t: learned(config.loss.log_t(), out.d_log_t),
            bias: learned(config.loss.bias(), out.d_bias),
        };
        // The scalars saw the whole batch at once: they count once, however many parts there are.
        let mut gradient = self.layout.scalar_gradients(scalars, &self.device);
        let learns = sides.iter().any(|side| !side.locked);
        let again = if learns { feed.count() } else { 0 };
        for part in 0..again {
            let (range, readings) = match is_whole {
                true => (0..feed.share(), [None, None]),
                false => {
                    let pass = Pass::Again;
                    let part = feed.take(Ask { step, pass, part })?;
                    (part.range, part.sides)
                }
            };
            let mut surrogate: Option<Tensor<1>> = None;
            let sides = sides.iter().zip(readings).zip(&mut taped);
            for (((side, reading), taped), d) in sides.zip(&found.gradients) {
                let Some(d) = d else { continue };
                let d = d.clone().slice([range.clone()]).autodiff();
                let again = || {
                    let reading = reading.expect("a side that learns is read again");
                    side.embed(&self.model, reading, &tape)
                };
                let z = taped.take().unwrap_or_else(again);
                let pull = (z * d).sum();
                surrogate = Some(match surrogate {
                    Some(sum) => sum + pull,
                    None => pull,
                });
            }
            if let Some(surrogate) = surrogate {
                let mut gradients = span("backward", || surrogate.backward());
                gradient = span("gather", || {
                    gradient + self.layout.gradients(&self.model, &mut gradients)
                });
            }
        }
        Ok(Ok(Part {
            gradient,
            seen: Seen {
                loss: out.loss,
                positive: out.positive,
                negative: out.negative,
                positive_pull: out.positive_pull,
                negative_pull: out.negative_pull,
                hardest: out.hardest,
                bytes: 0,
                waited: Duration::ZERO,
            },
        }))
    }

    /// The part of an update that cannot be made.
    fn nothing(&self) -> Part {
        Part {
            gradient: self
                .layout
                .scalar_gradients(Scalars::default(), &self.device),
            seen: Seen {
                loss: f64::NAN,
                ..Seen::default()
            },
        }
    }

    /// Loss and gradient of the rank's slice of the batch, one part after another.
    fn supervised(
        &self,
        loss: &ClassifyConfig,
        config: &TrainConfig,
        feed: &mut Feed,
        step: u64,
    ) -> Result<Part, DataError> {
        let locked = self.sides[0].locked;
        let (model, device) = if locked {
            (self.model.valid(), self.device.clone())
        } else {
            (self.model.clone(), self.device.clone().autodiff())
        };
        let scalars = Scalars::default();
        let mut gradient = self.layout.scalar_gradients(scalars, &self.device);
        let mut total = 0.0;
        for part in 0..feed.count() {
            let pass = Pass::First;
            let part = feed.take(Ask { step, pass, part })?;
            let ([Some(Reading::Drawn(Content::Pixels(pixels))), _], Some([classes, _])) =
                (part.sides, part.classes)
            else {
                panic!("a supervised loss is of pictures and their classes")
            };
            let labels = inputs::labels(classes, &device);
            let logits = model.image.forward(pixels.on(&device));
            let loss = classify(loss, logits, labels, config.train.batch_size);
            if !locked {
                let mut gradients = loss.backward();
                gradient = gradient + self.layout.gradients(&model, &mut gradients);
            }
            total += f64::from(loss.into_scalar::<f32>());
        }
        Ok(Part {
            gradient,
            seen: Seen {
                loss: total,
                ..Seen::default()
            },
        })
    }

    fn scalar(&self, name: &str) -> Option<f64> {
        let range = self.layout.get(name)?.range.clone();
        Some(f64::from(
            self.flat.clone().slice(range).into_scalar::<f32>(),
        ))
    }
}

/// What the towers read.
fn inputs_of(config: &TrainConfig, source: &Source) -> Inputs {
    let supervised = matches!(config.loss, LossConfig::Classify(_));
    let ids = source.vocabulary().max(config.model.text.vocabulary);
    let [image, text] = source.widths();
    Inputs {
        image: image.unwrap_or(config.data.image_size()),
        text: config.has_text_tower().then_some(text.unwrap_or(ids)),
        classes: supervised.then_some(source.class_count()),
    }
}

/// Put t' back into the range that `loss` keeps it in.
fn clamp_log_t(layout: &Layout, loss: &LossConfig, flat: Tensor<1>) -> Tensor<1> {
    match (layout.get("log_t"), loss.log_t_most()) {
        (Some(entry), Some(most)) => {
            let log_t = flat.clone().slice(entry.range.clone()).clamp(0.0, most);
            flat.slice_assign(entry.range.clone(), log_t)
        }
        _ => flat,
    }
}

/// One rank's part of an update, before the ranks add up.
struct Part {
    /// Of all parameters, `[layout.length()]`.
    gradient: Tensor<1>,
    seen: Seen,
}

/// What the loss was and what it was made of; parts of ranks add up.
#[derive(Clone, Default)]
struct Seen {
    loss: f64,
    positive: Extent,
    negative: Extent,
    positive_pull: f64,
    negative_pull: f64,
    hardest: Hardest,
    /// Sent to other ranks.
    bytes: u64,
    /// For what the towers read.
    waited: Duration,
}

impl Seen {
    fn merge(&mut self, other: &Self) {
        self.loss += other.loss;
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.positive_pull += other.positive_pull;
        self.negative_pull += other.negative_pull;
        self.hardest.merge(&other.hardest);
        self.bytes += other.bytes;
        self.waited = self.waited.max(other.waited);
    }

    /// None where it says nothing: a softmax pulls as much as it pushes, always.
    fn share_of_positives(&self, loss: &LossConfig) -> Option<f64> {
        let all = self.positive_pull + self.negative_pull;
        (matches!(loss, LossConfig::Sigmoid(_)) && all > 0.0).then(|| self.positive_pull / all)
    }
}
