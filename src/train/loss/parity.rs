//! Holds a loss against what it should be: embeddings, scalars, loss and gradients from a safetensors file that another
//! program made, or from [`super::reference`]. It is what stands behind `siglab check loss`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::reference::{BIAS_TERMS, Inputs, LOG_T_TERMS};
use super::tile::Precision;
use super::{
    Draw, Labels, LossConfig, LossError, LossOutput, Pairs, Plan, SigmoidConfig, SoftmaxConfig,
    contrastive,
};
use crate::train::mesh::Mesh;

/// One recorded case. Embeddings are `[batch, dim]`.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub config: LossConfig,
    pub dim: usize,
    pub image: Vec<f64>,
    pub text: Vec<f64>,
    /// Class of each pair, `[batch]`, where positives are by class; else empty.
    pub classes: Vec<u32>,
    pub log_t: f64,
    pub bias: f64,
    /// `loss`, `d_image`, `d_text`, `d_log_t`, `d_bias`.
    pub expected: BTreeMap<&'static str, Vec<f64>>,
}

/// A file that is no recorded case.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FixtureError {
    pub path: PathBuf,
    pub problem: FixtureProblem,
}

#[derive(Debug, thiserror::Error)]
pub enum FixtureProblem {
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("is not a whole safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    #[error("lacks a tensor `{name}`")]
    Missing { name: &'static str },
    #[error("`{name}` is of type {found:?}, which is not read here: expected F32 or F64")]
    Type { name: &'static str, found: Dtype },
    #[error("`{name}` holds {value}, expected finite numbers")]
    NotFinite { name: &'static str, value: f64 },
    #[error("`{name}` holds {found} values, expected {expected}")]
    Length {
        name: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("`image` {image:?} and `text` {text:?} are not two [batch, dim] matrices of one shape")]
    Shapes { image: Vec<usize>, text: Vec<usize> },
    #[error("`{0}` is no contrastive loss: expected sigmoid or softmax")]
    UnknownKind(String),
    #[error(
        "its name does not say which loss it is: name it with --kind sigmoid or --kind softmax"
    )]
    NoKind,
}

/// The names of what a loss computes, in a fixture and in an output file.
pub const RESULTS: [&str; 5] = ["loss", "d_image", "d_text", "d_log_t", "d_bias"];

impl Fixture {
    /// Read a file with tensors `image`, `text`, `log_t`, `bias` and those of [`RESULTS`]. `kind` is `sigmoid` or
    /// `softmax`; without it, the file's name must say which.
    ///
    /// # Errors
    /// What keeps the file from being such a case; every message names it.
    pub fn read(path: &Path, kind: Option<&str>) -> Result<Self, FixtureError> {
        let wrong = |problem| FixtureError {
            path: path.to_owned(),
            problem,
        };
        let bytes = std::fs::read(path).map_err(|e| wrong(FixtureProblem::Unreadable(e)))?;
        Self::parse(&bytes, &kind_of(path, kind).map_err(wrong)?).map_err(wrong)
    }

    fn parse(bytes: &[u8], config: &LossConfig) -> Result<Self, FixtureProblem> {
        let file = SafeTensors::deserialize(bytes)?;
        let tensor = |name: &'static str| -> Result<(Vec<usize>, Vec<f64>), FixtureProblem> {
            let view = file
                .tensor(name)
                .map_err(|_| FixtureProblem::Missing { name })?;
            let values = values(&view).ok_or(FixtureProblem::Type {
                name,
                found: view.dtype(),
            })?;
            if let Some(value) = values.iter().find(|x| !x.is_finite()) {
                return Err(FixtureProblem::NotFinite {
                    name,
                    value: *value,
                });
            }
            Ok((view.shape().to_vec(), values))
        };
        let of_length = |name: &'static str, expected: usize| {
            let (_, values) = tensor(name)?;
            if values.len() == expected {
                return Ok(values);
            }
            Err(FixtureProblem::Length {
                name,
                found: values.len(),
                expected,
            })
        };
        let ((shape, image), (text_shape, text)) = (tensor("image")?, tensor("text")?);
        if shape.len() != 2 || shape != text_shape || image.is_empty() {
            return Err(FixtureProblem::Shapes {
                image: shape,
                text: text_shape,
            });
        }
        let mut expected = BTreeMap::new();
        for name in RESULTS {
            let length = if matches!(name, "d_image" | "d_text") {
                image.len()
            } else {
                1
            };
            expected.insert(name, of_length(name, length)?);
        }
        Ok(Self {
            config: config.clone(),
            dim: shape[1],
            image,
            text,
            classes: Vec::new(),
            log_t: of_length("log_t", 1)?[0],
            bias: of_length("bias", 1)?[0],
            expected,
        })
    }

    /// The case without its results.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            image: &self.image,
            text: &self.text,
            dim: self.dim,
            classes: &self.classes,
            log_t: self.log_t,
            bias: self.bias,
            draw: Draw::default(),
        }
    }

    /// How far each result is off: by [`relative_error`], and where it is known what a scalar's gradient is the sum of,
    /// relative to the magnitudes of those terms, for where they cancel a sum has fewer digits. What is expected to be
    /// nothing, to an optimiser, is off by what it is: f32 keeps no digits of exponentials that small.
    pub fn errors(
        &self,
        computed: &BTreeMap<&'static str, Vec<f64>>,
    ) -> BTreeMap<&'static str, f64> {
        let error = |name: &'static str| {
            let (computed, expected) = (&computed[name], &self.expected[name]);
            let terms = match name {
                "d_log_t" => self.expected.get(LOG_T_TERMS),
                "d_bias" => self.expected.get(BIAS_TERMS),
                _ => None,
            };
            if terms.unwrap_or(expected).iter().all(|x| x.abs() < NOTHING) {
                return computed.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            }
            match terms {
                Some(terms) => (computed[0] - expected[0]).abs() / terms[0],
                None => relative_error(computed, expected),
            }
        };
        RESULTS
            .into_iter()
            .map(|name| (name, error(name)))
            .collect()
    }

    /// The loss as this build computes it in f32, over `ranks` ranks.
    pub fn compute(
        &self,
        ranks: usize,
        plan: Plan,
    ) -> Result<BTreeMap<&'static str, Vec<f64>>, LossError> {
        self.compute_by(contrastive, ranks, plan)
    }

    /// The loss as `loss` computes each rank's share.
    pub fn compute_by(
        &self,
        loss: impl Fn(&LossConfig, &Mesh, Pairs<f32>, f64, f64) -> Result<LossOutput<f32>, LossError>
        + Sync,
        ranks: usize,
        plan: Plan,
    ) -> Result<BTreeMap<&'static str, Vec<f64>>, LossError> {
        let batch = self.image.len() / self.dim;
        let pairs_of = |rank: usize| batch * rank / ranks..batch * (rank + 1) / ranks;
        let slice = |all: &[f64], rank: usize| -> Vec<f32> {
            let pairs = pairs_of(rank);
            all[pairs.start * self.dim..pairs.end * self.dim]
                .iter()
                .map(|&x| x as f32)
                .collect()
        };
        let shares = Mesh::run_alike(ranks, |mesh| {
            let (image, text) = (
                slice(&self.image, mesh.rank()),
                slice(&self.text, mesh.rank()),
            );
            loss(
                &self.config,
                &mesh,
                Pairs {
                    image: &image,
                    text,
                    dim: self.dim,
                    batch,
                    plan,
                    labels: match self.classes.get(pairs_of(mesh.rank())) {
                        Some(own) if !self.classes.is_empty() => Labels::Classes {
                            image: own,
                            text: own,
                        },
                        _ => Labels::Partners,
                    },
                    learns: [true; 2],
                    draw: Draw::default(),
                    look: false,
                },
                self.log_t,
                self.bias,
            )
        });
        let shares: Vec<LossOutput<f32>> = shares.into_iter().collect::<Result<_, _>>()?;
        let total = |f: fn(&LossOutput<f32>) -> f64| vec![shares.iter().map(f).sum()];
        let rows = |f: fn(&LossOutput<f32>) -> &Vec<f32>| {
            shares.iter().flat_map(f).map(|&x| f64::from(x)).collect()
        };
        Ok(BTreeMap::from([
            ("loss", total(|s| s.loss)),
            ("d_image", rows(|s| &s.d_image)),
            ("d_text", rows(|s| &s.d_text)),
            ("d_log_t", total(|s| s.d_log_t)),
            ("d_bias", total(|s| s.d_bias)),
        ]))
    }
}

/// A gradient that no optimiser notices.
const NOTHING: f64 = 1e-20;

/// What a result may be off by, as [`Fixture::errors`] counts, on inputs of f32 with the logit scale t.
///
/// A logit is t times a similarity, so it has the rounding of the similarity t times: beyond t = 20 all grow in
/// proportion. The gradients of a softmax are small sums of larger terms.
pub fn bound(precision: Precision, config: &LossConfig, log_t: f64) -> f64 {
    let at_start = match (precision, config) {
        (Precision::F32, _) => 2e-5,
        (Precision::Bf16x3, LossConfig::Sigmoid(_)) => 3e-5,
        (Precision::Bf16x3, _) => 1e-4,
        (Precision::Bf16, LossConfig::Sigmoid(_)) => 2e-2,
        (Precision::Bf16, _) => 5e-2,
    };
    at_start * f64::max(1.0, log_t.exp() / 20.0)
}

/// The largest difference of two vectors relative to the largest magnitude of `expected`; absolute where that is 0.
pub fn relative_error(computed: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let difference = computed.iter().zip(expected).fold(0.0_f64, |m, (a, b)| {
        if (a - b).is_nan() {
            f64::INFINITY
        } else {
            m.max((a - b).abs())
        }
    });
    if largest > 0.0 {
        difference / largest
    } else {
        difference
    }
}

/// The loss of a case: `kind`, or what the name of the file says.
fn kind_of(path: &Path, kind: Option<&str>) -> Result<LossConfig, FixtureProblem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut known = ["sigmoid", "softmax"].into_iter();
    match kind.or_else(|| known.find(|kind| name.contains(kind))) {
        Some("sigmoid") => Ok(LossConfig::Sigmoid(SigmoidConfig::default())),
        Some("softmax") => Ok(LossConfig::Softmax(SoftmaxConfig::default())),
        Some(other) => Err(FixtureProblem::UnknownKind(other.to_owned())),
        None => Err(FixtureProblem::NoKind),
    }
}

/// None when they are of a type that is not read here.
fn values(view: &TensorView) -> Option<Vec<f64>> {
    let bytes = view.data();
    let single = || bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
    let double = || bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
    match view.dtype() {
        Dtype::F32 => Some(single().map(f64::from).collect()),
        Dtype::F64 => Some(double().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 2 pairs of width 3, with what `change` does to its tensors.
    fn written(change: impl Fn(&mut BTreeMap<&'static str, (Vec<usize>, Vec<f32>)>)) -> Vec<u8> {
        let scalar = || (vec![1], vec![0.5]);
        let matrix = || (vec![2, 3], vec![0.5; 6]);
        let mut tensors = BTreeMap::from([("log_t", scalar()), ("bias", scalar())]);
        tensors.extend(RESULTS.map(|name| (name, scalar())));
        tensors.extend(["image", "text", "d_image", "d_text"].map(|name| (name, matrix())));
        change(&mut tensors);
        let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .map(|(name, (shape, values))| (*name, shape.clone(), bytes(values)))
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (*name, view.unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn a_broken_file_is_told_by_what_is_wrong() {
        let config = kind_of(Path::new("softmax.safetensors"), None).unwrap();
        let problem = |bytes: &[u8]| Fixture::parse(bytes, &config).unwrap_err();
        let words = |bytes: &[u8]| problem(bytes).to_string();
        assert!(Fixture::parse(&written(|_| ()), &config).is_ok());

        let whole = written(|_| ());
        assert!(matches!(problem(b""), FixtureProblem::Format(_)));
        assert!(matches!(
            problem(&whole[..whole.len() - 1]),
            FixtureProblem::Format(_)
        ));
        assert_eq!(
            words(&written(|t| drop(t.remove("d_text")))),
            "lacks a tensor `d_text`"
        );
        assert_eq!(
            words(&written(|t| drop(
                t.insert("bias", (vec![2], vec![0.0; 2]))
            ))),
            "`bias` holds 2 values, expected 1"
        );
        assert_eq!(
            words(&written(|t| drop(
                t.insert("text", (vec![3, 2], vec![0.0; 6]))
            ))),
            "`image` [2, 3] and `text` [3, 2] are not two [batch, dim] matrices of one shape"
        );
        let nothing = |t: &mut BTreeMap<_, _>| {
            for name in ["image", "text", "d_image", "d_text"] {
                t.insert(name, (vec![0, 3], vec![]));
            }
        };
        assert!(matches!(
            problem(&written(nothing)),
            FixtureProblem::Shapes { .. }
        ));
        assert_eq!(
            words(&written(|t| drop(
                t.insert("loss", (vec![1], vec![f32::NAN]))
            ))),
            "`loss` holds NaN, expected finite numbers"
        );
        let half = TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
        let half = safetensors::serialize([("image", half)], None).unwrap();
        assert_eq!(
            words(&half),
            "`image` is of type F16, which is not read here: expected F32 or F64"
        );
    }

    #[test]
    fn a_file_says_its_loss_by_name_or_is_asked_which() {
        let kind = |name, kind| kind_of(Path::new(name), kind);
        let softmax = LossConfig::Softmax(SoftmaxConfig::default());
        assert_eq!(kind("a_softmax_b2.safetensors", None).unwrap(), softmax);
        assert_eq!(kind("a_sigmoid", Some("softmax")).unwrap(), softmax);
        assert!(matches!(kind("a", None), Err(FixtureProblem::NoKind)));
        assert!(matches!(
            kind("a", Some("hinge")),
            Err(FixtureProblem::UnknownKind(_))
        ));
        let error = Fixture::read(Path::new("/nowhere/sigmoid"), None).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nowhere/sigmoid: cannot be read: ")
        );
    }
}
