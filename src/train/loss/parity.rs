//! Holds a loss against recorded values: embeddings, scalars, loss and gradients from a safetensors file that
//! another program made. It is the self-test behind `siglab check loss`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::tile::Kernel;
use super::{
    Draw, LossConfig, LossOutput, Pairs, Plan, Positives, SigmoidConfig, SoftmaxConfig, Way,
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
    pub log_t: f64,
    pub bias: f64,
    /// `loss`, `d_image`, `d_text`, `d_log_t`, `d_bias`.
    pub expected: BTreeMap<&'static str, Vec<f64>>,
}

/// The names of what a loss computes, in a fixture and in an output file.
pub const RESULTS: [&str; 5] = ["loss", "d_image", "d_text", "d_log_t", "d_bias"];

impl Fixture {
    /// Read a file with tensors `image`, `text`, `log_t`, `bias` and those of [`RESULTS`]. `kind` is `sigmoid` or
    /// `softmax`; without it, the file's name must say which.
    pub fn read(path: &Path, kind: Option<&str>) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = SafeTensors::deserialize(&bytes)
            .with_context(|| format!("{} is not a safetensors file", path.display()))?;
        let tensor = |name: &str| -> anyhow::Result<(Vec<usize>, Vec<f64>)> {
            let view = file
                .tensor(name)
                .with_context(|| format!("{} lacks a tensor `{name}`", path.display()))?;
            Ok((
                view.shape().to_vec(),
                values(&view).with_context(|| format!("{}: `{name}`", path.display()))?,
            ))
        };
        let scalar = |name: &str| -> anyhow::Result<f64> {
            let (_, v) = tensor(name)?;
            ensure!(
                v.len() == 1,
                "{}: `{name}` holds {} values, expected 1",
                path.display(),
                v.len()
            );
            Ok(v[0])
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let config = match kind.or_else(|| {
            ["sigmoid", "softmax"]
                .into_iter()
                .find(|k| name.contains(k))
        }) {
            Some("sigmoid") => LossConfig::Sigmoid(SigmoidConfig::default()),
            Some("softmax") => LossConfig::Softmax(SoftmaxConfig::default()),
            Some(other) => bail!("`{other}` is no contrastive loss: expected sigmoid or softmax"),
            None => bail!(
                "{} does not say which loss it is: name it with --kind sigmoid or --kind softmax",
                path.display()
            ),
        };
        let ((shape, image), (text_shape, text)) = (tensor("image")?, tensor("text")?);
        ensure!(
            shape.len() == 2 && shape == text_shape && shape[1] > 0,
            "{}: `image` {shape:?} and `text` {text_shape:?} are not two [batch, dim] matrices of one shape",
            path.display()
        );
        let mut expected = BTreeMap::new();
        for name in RESULTS {
            let (_, v) = tensor(name)?;
            let length = if matches!(name, "d_image" | "d_text") {
                image.len()
            } else {
                1
            };
            ensure!(
                v.len() == length,
                "{}: `{name}` holds {} values, expected {length}",
                path.display(),
                v.len()
            );
            expected.insert(name, v);
        }
        Ok(Self {
            config,
            dim: shape[1],
            image,
            text,
            log_t: scalar("log_t")?,
            bias: scalar("bias")?,
            expected,
        })
    }

    /// The loss as this build computes it in f32, over `ranks` ranks and in tiles of `tile`.
    pub fn compute(
        &self,
        ranks: usize,
        tile: usize,
        kernel: Kernel,
    ) -> anyhow::Result<BTreeMap<&'static str, Vec<f64>>> {
        let batch = self.image.len() / self.dim;
        let slice = |all: &[f64], rank: usize| -> Vec<f32> {
            let bound = |r: usize| batch * r / ranks * self.dim;
            all[bound(rank)..bound(rank + 1)]
                .iter()
                .map(|&x| x as f32)
                .collect()
        };
        let shares = Mesh::run_alike(ranks, |mesh| {
            let (image, text) = (
                slice(&self.image, mesh.rank()),
                slice(&self.text, mesh.rank()),
            );
            contrastive(
                &self.config,
                &mesh,
                Pairs {
                    image: &image,
                    text,
                    dim: self.dim,
                    batch,
                    plan: Plan {
                        side: tile,
                        kernel,
                        way: Way::OneWay,
                    },
                    positives: Positives::Partners,
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

fn values(view: &TensorView) -> anyhow::Result<Vec<f64>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect()),
        Dtype::F64 => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect()),
        other => bail!("type {other:?} is not read here: expected F32 or F64"),
    }
}
