//! One update: embed the rank's slice of the batch, take loss and gradients in closed form, send them through the
//! towers, add them up over ranks, move the parameters. The gradient of the loss enters the tape through a surrogate
//! whose gradient is the one wanted: (z · stop_gradient(∂L/∂z)).sum().

use std::ops::Range;

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};

use super::config::TrainConfig;
use super::data::{Batch, Source};
use super::device::host;
use super::eval;
use super::loss::tile::Extent;
use super::loss::{LossConfig, Pairs, classify, contrastive};
use super::mesh::{Mesh, RankLost};
use super::model::params::{Layout, Scalars};
use super::model::{Model, initialise};
use super::optim::Rates;
use super::optim::adamw::{self, Moments, Norms};

/// Everything that an update changes, on one rank. All ranks hold bit-equal copies.
pub struct State {
    pub device: Device,
    pub model: Model,
    pub layout: Layout,
    /// The layout's groups with what each gets of an update.
    groups: Vec<(Range<usize>, Rates)>,
    /// All parameters, `[layout.length()]`, without autodiff; `model` holds the same values.
    pub flat: Tensor<1>,
    pub moments: Moments,
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
            layout,
            flat,
            moments,
        }
    }

    /// Replace all parameters.
    pub fn set(&mut self, flat: Tensor<1>) {
        self.flat = flat;
        self.model = self.layout.assign(self.model.clone(), &self.flat);
    }

    /// Make update number `step`, counted from 1.
    pub fn update(
        &mut self,
        config: &TrainConfig,
        mesh: &Mesh,
        source: &Source,
        step: u64,
    ) -> Result<Update, RankLost> {
        let global = config.train.batch_size as u64;
        let seen = (step - 1) * global;
        let share = global / mesh.size() as u64;
        let first = seen + share * mesh.rank() as u64;
        let batch = source.train_batch(config.seed, first..first + share);

        let (log_t, bias) = (self.scalar("log_t"), self.scalar("bias"));
        let mut part = match &config.loss {
            LossConfig::Classify(_) => self.supervised(config, source, &batch),
            LossConfig::Sigmoid(_) | LossConfig::Softmax(_) => self.contrastive(
                config,
                mesh,
                source,
                &batch,
                log_t.unwrap_or(0.0),
                bias.unwrap_or(0.0),
            )?,
        };
        let learned = |scalar: Option<super::loss::Scalar>, gradient: f64| {
            if scalar.is_some_and(|s| s.learned) {
                gradient
            } else {
                0.0
            }
        };
        let scalars = Scalars {
            log_t: learned(config.loss.log_t(), part.scalars.log_t),
            bias: learned(config.loss.bias(), part.scalars.bias),
        };
        let mut gradient = self
            .layout
            .gradients(&self.model, &mut part.gradients, scalars);
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
        Ok(Update {
            loss,
            norms,
            lr,
            log_t,
            bias,
            positive,
            negative,
        })
    }

    fn contrastive(
        &self,
        config: &TrainConfig,
        mesh: &Mesh,
        source: &Source,
        batch: &Batch,
        log_t: f64,
        bias: f64,
    ) -> Result<Part, RankLost> {
        let tape = self.device.clone().autodiff();
        let tokens = Tensor::<2, Int>::from_data(
            TensorData::new(batch.tokens.clone(), [batch.labels.len(), source.context()]),
            &tape,
        );
        let image = self
            .model
            .embed_images(eval::pixels(batch, source.image_size(), &tape));
        let text = self.model.embed_texts(tokens);
        let [rows, dim] = image.dims();
        let pairs = Pairs {
            image: &host(image.clone().inner()),
            text: host(text.clone().inner()),
            dim,
            batch: config.train.batch_size,
            tile: config.train.tile,
        };
        let out = contrastive(&config.loss, mesh, pairs, log_t, bias)?;
        let pull = |z: Tensor<2>, d: Vec<f32>| {
            (z * Tensor::from_data(TensorData::new(d, [rows, dim]), &tape)).sum()
        };
        let surrogate = pull(image, out.d_image) + pull(text, out.d_text);
        Ok(Part {
            loss: out.loss,
            gradients: surrogate.backward(),
            scalars: Scalars {
                log_t: out.d_log_t,
                bias: out.d_bias,
            },
            positive: out.positive,
            negative: out.negative,
        })
    }

    fn supervised(&self, config: &TrainConfig, source: &Source, batch: &Batch) -> Part {
        let tape = self.device.clone().autodiff();
        let labels = Tensor::<1, Int>::from_data(
            TensorData::new(batch.labels.clone(), [batch.labels.len()]),
            &tape,
        );
        let logits = self
            .model
            .image
            .forward(eval::pixels(batch, source.image_size(), &tape));
        let loss = classify(logits, labels, config.train.batch_size);
        let gradients = loss.backward();
        Part {
            loss: f64::from(loss.into_scalar::<f32>()),
            gradients,
            scalars: Scalars::default(),
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
    gradients: Gradients,
    scalars: Scalars,
    positive: Extent,
    negative: Extent,
}
