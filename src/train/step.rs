//! One update: embed the rank's slice of the batch, take loss and gradients in closed form, send them through the
//! towers, add them up over ranks, move the parameters. The gradient of the loss enters the tape through a surrogate
//! whose gradient is the one wanted: (z · stop_gradient(∂L/∂z)).sum().

mod slice;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::TrainConfig;
use super::data::Source;
use super::device::host;
use super::inputs;
use super::loss::tile::Extent;
use super::loss::{Draw, LossConfig, Pairs, Scalar, classify, contrastive};
use super::mesh::{Mesh, RankLost};
use super::model::params::{Layout, Scalars};
use super::model::{Model, initialise};
use super::optim::Rates;
use super::optim::adamw::{self, Moments, Norms};
use super::optim::staleness::staleness;
use super::side::{SharedCache, Side};
use crate::record::RunDir;
use slice::Slice;

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
    pub moments: Moments,
    /// What a contrastive loss compares.
    sides: [Side; 2],
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
    /// What only the steps that are logged pay for.
    pub details: Option<Details>,
}

/// A closer look at an update; nothing that is trained depends on whether it is taken.
#[derive(Clone, Debug)]
pub struct Details {
    /// Global L2 norm of the parameters after the update.
    pub param_norm: f64,
    /// Of each layer, see [`staleness`](super::optim::staleness).
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
        let model = Model::zeros(config, source.vocabulary(), source.class_count(), &tape);
        let layout = Layout::of(&model);
        let flat = initialise(&layout, &config.loss, config.seed, device);
        let moments = Moments::zeros(&layout, device);
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
            moments,
            sides: Side::both(config),
        }
    }

    /// Replace all parameters.
    pub fn set(&mut self, flat: Tensor<1>) {
        self.flat = flat;
        self.model = self.layout.assign(self.model.clone(), &self.flat);
    }

    /// The caches that `config` asks for, one a side at most; `dir` is the run's. All ranks may use the same.
    pub fn open_caches(
        &self,
        config: &TrainConfig,
        dir: &RunDir,
    ) -> anyhow::Result<[Option<SharedCache>; 2]> {
        let [image, text] = &self.sides;
        let open = |side: &Side| side.open_cache(config, &self.layout, &self.flat, dir);
        Ok([open(image)?, open(text)?])
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

    /// Make update number `step`, counted from 1; `look` asks for its [`Details`].
    pub fn update(
        &mut self,
        config: &TrainConfig,
        mesh: &Mesh,
        source: &Source,
        step: u64,
        look: bool,
    ) -> Result<Update, RankLost> {
        let global = config.train.batch_size as u64;
        let seen = (step - 1) * global;
        let share = global / mesh.size() as u64;
        let first = seen + share * mesh.rank() as u64;
        let slice = Slice::new(source, first..first + share, config.train.micro_batch);

        let (log_t, bias) = (self.scalar("log_t"), self.scalar("bias"));
        let part = match &config.loss {
            LossConfig::Classify(_) => self.supervised(config, &slice),
            LossConfig::Sigmoid(_) | LossConfig::Softmax(_) => {
                self.contrastive(config, mesh, &slice, step)?
            }
        };
        let mut gradient = part.gradient;
        if mesh.size() > 1 {
            let sum = mesh.all_reduce(host(gradient))?;
            gradient =
                Tensor::from_data(TensorData::new(sum, [self.layout.length()]), &self.device);
        }
        let (mut loss, mut positive, mut negative) = (0.0, Extent::default(), Extent::default());
        for (l, p, n) in mesh.gather((part.loss, part.positive, part.negative))? {
            loss += l;
            positive.merge(&p);
            negative.merge(&n);
        }

        let lr = config.optim.lr
            * config
                .optim
                .schedule
                .factor(seen, global, config.train.examples);
        let looked_at = look.then(|| gradient.clone());
        let mut flat = self.flat.clone();
        let norms = adamw::update(
            &config.optim,
            &self.groups,
            step,
            lr,
            &mut flat,
            &mut self.moments,
            gradient,
        );
        if loss.is_finite() {
            self.set(flat);
        }
        let details = looked_at.map(|gradient| Details {
            param_norm: f64::from(self.flat.clone().square().sum().into_scalar::<f32>()).sqrt(),
            staleness: staleness(
                &config.optim,
                &self.layers,
                step,
                gradient,
                norms.gradient,
                &self.moments.v,
            ),
        });
        Ok(Update {
            loss,
            norms,
            lr,
            log_t,
            bias,
            positive,
            negative,
            negatives_kept: config.loss.leaves_out_negatives().then_some(negative.count),
            details,
        })
    }

    /// Loss and gradient of the rank's slice of the batch. When it comes in more than one part, a first pass embeds
    /// them all without a tape, and the second draws, embeds and tapes one at a time. What a locked tower embedded is
    /// not embedded again.
    fn contrastive(
        &self,
        config: &TrainConfig,
        mesh: &Mesh,
        slice: &Slice,
        step: u64,
    ) -> Result<Part, RankLost> {
        let [log_t, bias] = ["log_t", "bias"].map(|name| self.scalar(name).unwrap_or(0.0));
        let dim = config.model.embed_dim;
        let (tape, plain) = (self.device.clone().autodiff(), self.model.valid());
        let sides = &self.sides;
        let mut taped = [None, None];
        let mut embeddings = [Vec::new(), Vec::new()];
        for ((side, taped), embeddings) in sides.iter().zip(&mut taped).zip(&mut embeddings) {
            if slice.is_whole() && !side.locked {
                let z = side.embed(&self.model, slice.source, &slice.all(), &tape);
                *embeddings = host(z.clone().inner());
                *taped = Some(z);
                continue;
            }
            embeddings.reserve_exact(slice.len() * dim);
            for part in slice.parts() {
                embeddings.extend(side.embed_plain(&plain, slice.source, &part, &self.device));
            }
        }
        let [image, text] = embeddings;
        let pairs = Pairs {
            image: &image,
            text,
            dim,
            batch: config.train.batch_size,
            tile: config.train.tile,
            draw: Draw {
                seed: config.seed,
                step,
            },
        };
        let out = contrastive(&config.loss, mesh, pairs, log_t, bias)?;
        drop(image);

        let learned = |scalar: Option<Scalar>, gradient: f64| {
            scalar.filter(|s| s.learned).map_or(0.0, |_| gradient)
        };
        let scalars = Scalars {
            log_t: learned(config.loss.log_t(), out.d_log_t),
            bias: learned(config.loss.bias(), out.d_bias),
        };
        // The scalars saw the whole batch at once: they count once, however many parts there are.
        let mut gradient = self.layout.scalar_gradients(scalars, &self.device);
        let mut first = 0;
        for part in slice.parts() {
            let rows = part.len();
            let span = first * dim..(first + rows) * dim;
            first += rows;
            let learning = sides
                .iter()
                .zip(&mut taped)
                .zip([&out.d_image, &out.d_text]);
            let pulls = learning
                .filter(|((side, _), _)| !side.locked)
                .map(|((side, taped), d)| {
                    let again = || side.embed(&self.model, slice.source, &part, &tape);
                    let z = taped.take().unwrap_or_else(again);
                    let d = TensorData::new(d[span.clone()].to_vec(), [rows, dim]);
                    (z * Tensor::from_data(d, &tape)).sum()
                });
            if let Some(surrogate) = pulls.reduce(|a, b| a + b) {
                let mut gradients = surrogate.backward();
                gradient = gradient + self.layout.gradients(&self.model, &mut gradients);
            }
        }
        Ok(Part {
            loss: out.loss,
            gradient,
            positive: out.positive,
            negative: out.negative,
        })
    }

    /// Loss and gradient of the rank's slice of the batch, one part after another.
    fn supervised(&self, config: &TrainConfig, slice: &Slice) -> Part {
        let locked = config.optim.image.is_locked();
        let (model, device) = if locked {
            (self.model.valid(), self.device.clone())
        } else {
            (self.model.clone(), self.device.clone().autodiff())
        };
        let scalars = Scalars::default();
        let mut gradient = self.layout.scalar_gradients(scalars, &self.device);
        let mut total = 0.0;
        for part in slice.parts() {
            let labels = inputs::labels(slice.source, &part, &device);
            let pixels = inputs::images(slice.source, &part, &device);
            let logits = model.image.forward(pixels);
            let loss = classify(logits, labels, config.train.batch_size);
            if !locked {
                let mut gradients = loss.backward();
                gradient = gradient + self.layout.gradients(&model, &mut gradients);
            }
            total += f64::from(loss.into_scalar::<f32>());
        }
        Part {
            loss: total,
            gradient,
            positive: Extent::default(),
            negative: Extent::default(),
        }
    }

    fn scalar(&self, name: &str) -> Option<f64> {
        let range = self.layout.get(name)?.range.clone();
        Some(f64::from(
            self.flat.clone().slice(range).into_scalar::<f32>(),
        ))
    }
}

/// One rank's part of an update, before the ranks add up.
struct Part {
    loss: f64,
    /// Of all parameters, `[layout.length()]`.
    gradient: Tensor<1>,
    positive: Extent,
    negative: Extent,
}
