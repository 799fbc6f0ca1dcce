//! The losses, one file each: the equation, its settings, and a function from embeddings to value and gradients.
//! The contrastive ones work on slices, tile by tile and rank by rank, and never hold the matrix of all pairs. How
//! their gradients reach the towers is `step`'s affair.

pub mod cases;
mod classify;
mod extent;
pub mod gauges;
mod hardest;
mod logits;
mod negatives;
pub mod on_device;
pub mod parity;
mod places;
pub mod reference;
mod ring;
mod sigmoid;
mod signs;
mod softmax;
mod tally;
pub mod tile;
mod travel;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::mesh::{Mesh, RankLost};
pub use classify::{Activation, ClassifyConfig, classify};
pub use extent::Extent;
pub use hardest::Hardest;
pub use logits::{BiasInit, Line, LogTInit};
pub use negatives::{Draw, Keep, NegativesConfig};
use places::Places;
pub use ring::Plan;
pub use sigmoid::{BiasConfig, BiasMode, LogT, Normalisation, Positives, SigmoidConfig};
pub use signs::{Labels, Listed};
pub use softmax::SoftmaxConfig;
use tile::Real;
pub use travel::Way;

/// Which loss, with its settings; `kind` is its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// SigLIP: every pair of the batch is a binary decision.
    Sigmoid(SigmoidConfig),
    /// CLIP: each image picks its text among the batch's, and each text its image.
    Softmax(SoftmaxConfig),
    /// Supervised: the image alone, a linear head, cross entropy over the data set's classes.
    Classify(ClassifyConfig),
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::Sigmoid(SigmoidConfig::default())
    }
}

/// A scalar of the loss that is a parameter of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// False keeps it where it starts.
    pub learned: bool,
}

impl LossConfig {
    /// Start, whether it is learned, and clamp of t', for the losses that compare images with texts.
    fn log_t_settings(&self) -> Option<(LogTInit, bool, f64)> {
        match self {
            Self::Sigmoid(c) => Some((c.log_t.init, c.log_t.learned, c.log_t.clamp)),
            Self::Softmax(c) => Some((c.log_t.init, c.log_t.learned, c.log_t.clamp)),
            Self::Classify(_) => None,
        }
    }

    /// t', for the losses that compare images with texts.
    pub fn log_t(&self) -> Option<Scalar> {
        let (_, learned, _) = self.log_t_settings()?;
        Some(Scalar { learned })
    }

    /// b, for the losses that have one.
    pub fn bias(&self) -> Option<Scalar> {
        match self {
            Self::Sigmoid(c) => match c.bias.mode {
                BiasMode::Learned => Some(Scalar { learned: true }),
                BiasMode::Frozen => Some(Scalar { learned: false }),
                BiasMode::None => None,
            },
            Self::Softmax(_) | Self::Classify(_) => None,
        }
    }

    /// Where t' starts, for the losses that have it; none while it is for a file to say.
    pub fn log_t_init(&self) -> Option<f64> {
        let (init, ..) = self.log_t_settings()?;
        init.number()
    }

    /// Which of t' and b start where a file says.
    pub fn scalars_from_file(&self) -> [bool; 2] {
        let log_t = self.log_t_settings();
        let log_t = log_t.is_some_and(|(init, ..)| init == LogTInit::File);
        let bias = matches!(self, Self::Sigmoid(c) if c.bias.mode != BiasMode::None && c.bias.init == BiasInit::File);
        [log_t, bias]
    }

    /// Start t' and b at these numbers where there are any; b is what is added to logits, whatever the form of the bias.
    pub fn set_scalars(&mut self, [log_t, bias]: [Option<f64>; 2]) {
        match (&mut *self, log_t) {
            (Self::Sigmoid(c), Some(log_t)) => c.log_t.init = LogTInit::Number(log_t),
            (Self::Softmax(c), Some(log_t)) => c.log_t.init = LogTInit::Number(log_t),
            _ => {}
        }
        if let (Self::Sigmoid(c), Some(shift)) = (self, bias)
            && let Some(log_t) = c.log_t.init.number()
        {
            c.bias.init = BiasInit::Number(Line::bias_of(log_t, shift, c.bias.relative));
        }
    }

    /// The greatest t' that an update may leave, if there is one; the least is then 0.
    pub fn log_t_most(&self) -> Option<f64> {
        let (.., clamp) = self.log_t_settings()?;
        (clamp != 0.0).then(|| clamp.ln())
    }

    /// Where b starts in batches of `batch` pairs over all ranks, for the losses that have it; none while it is for a file
    /// to say.
    pub fn bias_init(&self, batch: usize) -> Option<f64> {
        match self {
            Self::Sigmoid(c) if c.bias.mode != BiasMode::None => match c.bias.init {
                BiasInit::Number(b) => Some(b),
                BiasInit::Prior => {
                    let log_odds = -c.negatives.per_positive(batch).ln();
                    let log_t = c.log_t.init.number();
                    let log_t = log_t.or((!c.bias.relative).then_some(0.0))?;
                    Some(Line::bias_of(log_t, log_odds, c.bias.relative))
                }
                BiasInit::File => None,
            },
            _ => None,
        }
    }

    /// What the budget of examples is multiplied by, in batches of `batch` pairs, so that as many pairs count in all as
    /// with all negatives (arXiv 2303.15343, section 4.8). 1 unless the loss asks for it.
    pub fn matching(&self, batch: usize) -> f64 {
        match self {
            Self::Sigmoid(c) if c.negatives.keep == Keep::HardMatched && batch > 1 => {
                (batch - 1) as f64 / c.negatives.per_positive(batch)
            }
            _ => 1.0,
        }
    }

    /// Pairs that the loss takes in of a batch of `batch`: B², times the share of the negatives that count. A run of matched
    /// pairs takes in as many as one of all negatives. None where no pairs are compared.
    pub fn pairs(&self, batch: usize) -> Option<f64> {
        let all = (batch as f64).powi(2);
        match self {
            Self::Sigmoid(c) if batch > 1 => {
                Some(all * c.negatives.per_positive(batch) / (batch - 1) as f64)
            }
            Self::Sigmoid(_) | Self::Softmax(_) => Some(all),
            Self::Classify(_) => None,
        }
    }

    /// Whether every image and text of one class is a positive.
    pub fn positives_by_class(&self) -> bool {
        matches!(self, Self::Sigmoid(c) if c.positives == Positives::Class)
    }

    /// Whether some of the negatives may not count.
    pub fn leaves_out_negatives(&self) -> bool {
        matches!(self, Self::Sigmoid(c) if c.negatives.keep != Keep::All)
    }

    pub(super) fn validate(&self, batch: usize) -> Result<(), ConfigError> {
        let sane = |key, x: f64| {
            check(key, x.is_finite() && x.abs() <= 100.0, || {
                format!("{x} is not a number between -100 and 100")
            })
        };
        self.log_t_init()
            .map_or(Ok(()), |x| sane("loss.log_t.init", x))?;
        if let (Some(init), Some(most)) = (self.log_t_init(), self.log_t_most()) {
            check("loss.log_t.clamp", most.is_finite() && most >= 0.0, || {
                "must be a finite number from 1 up, or 0 for none".into()
            })?;
            check("loss.log_t.init", (0.0..=most).contains(&init), || {
                format!(
                    "{init} is not between 0 and {most}, the log of loss.log_t.clamp, and would not stay"
                )
            })?;
        }
        if let Some(b) = self.bias_init(batch) {
            check("loss.bias.init", !b.is_infinite(), || {
                "\"prior\" counts the negatives of each positive, and a batch of 1 has none".into()
            })?;
            sane("loss.bias.init", b)?;
        }
        match self {
            Self::Sigmoid(c) => {
                let by_class = c.positives == Positives::Class;
                check(
                    "loss.positives",
                    !by_class || c.negatives.keep == Keep::All,
                    || "\"class\" wants loss.negatives.keep = \"all\"".into(),
                )?;
                let prior = c.bias.mode != BiasMode::None && c.bias.init == BiasInit::Prior;
                check("loss.bias.init", !(by_class && prior), || {
                    "\"prior\" counts one positive for each image; give a number with loss.positives = \"class\"".into()
                })?;
                c.negatives.validate()
            }
            Self::Softmax(_) | Self::Classify(_) => Ok(()),
        }
    }
}

/// What a contrastive loss compares: this rank's slice of the batch.
pub struct Pairs<'a, T> {
    /// Unit embeddings `[n, dim]`, row-major. Ranks may hold different numbers of rows, and none.
    pub image: &'a [T],
    /// Unit embeddings `[n, dim]`; row i is the partner of image i. Owned, for it travels.
    pub text: Vec<T>,
    pub dim: usize,
    /// Pairs of all ranks together: B.
    pub batch: usize,
    /// Whether images and texts want their gradients; without, these are empty and cost nothing.
    pub learns: [bool; 2],
    /// How squares of the pair matrix are formed.
    pub plan: Plan,
    pub labels: Labels<'a>,
    /// What the step's random choices follow from.
    pub draw: Draw,
    /// Whether to find [`LossOutput::hardest`].
    pub look: bool,
}

/// Why there is no loss. Every rank hears of it alike.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    #[error("a batch without pairs has no loss")]
    Empty,
    #[error("the inputs of the loss do not fit together: {0}")]
    Shape(String),
    #[error("the labels of the pairs do not fit: {0}")]
    Label(String),
    /// The row counts from the first of the rank whose embedding it is.
    #[error("the {side} embedding in row {row} is not finite")]
    NotFinite { side: &'static str, row: usize },
    #[error("t' = {log_t} and b = {bias} give no finite logits")]
    Scalars { log_t: String, bias: String },
    #[error(transparent)]
    RankLost(#[from] RankLost),
}

impl LossError {
    /// Whether the inputs only had values that no loss can be computed from.
    pub fn is_of_numbers(&self) -> bool {
        matches!(self, Self::NotFinite { .. } | Self::Scalars { .. })
    }
}

/// One rank's share: values and scalar gradients add up over ranks to those of the whole batch, `d_image` and
/// `d_text` are complete for the rank's own rows.
#[derive(Clone, Debug, PartialEq)]
pub struct LossOutput<T> {
    pub loss: f64,
    /// ∂L/∂x, `[n, dim]`, or empty.
    pub d_image: Vec<T>,
    /// ∂L/∂y, `[n, dim]`, or empty.
    pub d_text: Vec<T>,
    pub d_log_t: f64,
    pub d_bias: f64,
    /// Logits of positives.
    pub positive: Extent,
    /// Logits of negatives that count.
    pub negative: Extent,
    /// Σ |∂L/∂l_ij| over positives and over negatives.
    pub positive_pull: f64,
    pub negative_pull: f64,
    /// Gradients of negatives by size, when they were looked at.
    pub hardest: Hardest,
}

/// This rank's share of the contrastive loss that `config` names; b counts as 0 where there is none.
///
/// # Errors
/// What [`LossError`] names, on all ranks; nothing else was computed then.
///
/// # Panics
/// On the supervised loss, which compares no pairs.
pub fn contrastive<T: Real>(
    config: &LossConfig,
    mesh: &Mesh,
    pairs: Pairs<T>,
    log_t: f64,
    bias: f64,
) -> Result<LossOutput<T>, LossError> {
    let places = Places::gather(mesh, places::check(&pairs), pairs.batch)?;
    check_scalars::<T>(log_t, bias)?;
    match config {
        LossConfig::Sigmoid(c) => sigmoid::sigmoid(c, mesh, &places, pairs, (log_t, bias)),
        LossConfig::Softmax(_) => softmax::softmax(mesh, &places, pairs, log_t),
        LossConfig::Classify(_) => panic!("the supervised loss compares no pairs"),
    }
}

fn check_scalars<T: Real>(log_t: f64, bias: f64) -> Result<(), LossError> {
    // Squared, for gradients multiply by t once more.
    if bias.is_finite() && log_t.is_finite() && T::of((2.0 * log_t).exp()).is_finite() {
        return Ok(());
    }
    let (log_t, bias) = (log_t.to_string(), bias.to_string());
    Err(LossError::Scalars { log_t, bias })
}

#[cfg(test)]
mod tests;
