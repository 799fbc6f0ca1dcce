//! What a file says of the towers in it: first by the shapes of their parameters, which all formats have, then by what
//! each format says besides. What nobody says is named as such and never guessed.

use super::FileError;
use super::archive::Archive;
use super::names::{Names, count};
use super::settings::Pixels;
use crate::train::data::text::Canonical;
use crate::train::model::{ImageConfig, ImagePool, Projection, Size, TextConfig, TextPool};

/// Everything that a file says.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// Its name, for messages.
    pub format: &'static str,
    pub image: Option<DescribedImage>,
    pub text: Option<DescribedText>,
    /// The tensors of t' and b.
    pub log_t: Option<String>,
    pub bias: Option<String>,
    /// The form of a text before it is split into tokens.
    pub canonical: Canonical,
    /// How pictures are prepared, where the file or its program says so.
    pub pixels: Option<Pixels>,
}

#[derive(Clone, Debug)]
pub struct DescribedImage {
    pub names: Names,
    pub config: ImageConfig,
    /// Side of the images in pixels.
    pub size: usize,
    /// Width of the embedding.
    pub outputs: usize,
    /// Whether the class token has a row among the positions.
    pub class_has_position: bool,
    /// Settings that the file does not say.
    pub unsaid: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub struct DescribedText {
    pub names: Names,
    pub config: TextConfig,
    pub outputs: usize,
    pub unsaid: Vec<&'static str>,
}

/// No tower of the field has so many.
const MOST_BLOCKS: usize = 1_000;

/// What the shapes of a tower's blocks say, and of what stands around them in both towers.
struct Blocks {
    depth: usize,
    mlp_width: usize,
    pre_norm: bool,
    projection: Projection,
    outputs: usize,
}

impl Blocks {
    fn infer(
        names: &Names,
        archive: &Archive,
        tower: &str,
        width: usize,
    ) -> Result<Self, FileError> {
        let error = |problem: &str| FileError::new(archive.path(), problem.to_owned());
        let shape = |ours: &str| names.shape(&format!("{tower}.{ours}"), archive);
        let gain = |n: usize| shape(&format!("blocks.{n}.norm_1.gain"));
        let depth = (0..MOST_BLOCKS).take_while(|&n| gain(n).is_some()).count();
        let up = shape("blocks.0.mlp.up.weight");
        let Some(&mlp_width) = up.as_ref().and_then(|shape| shape.last()) else {
            return Err(error(&format!("has no blocks of the {tower} tower")));
        };
        let projection = shape("projection.weight");
        let has_bias = shape("projection.bias").is_some();
        let outputs = projection.as_ref().and_then(|shape| shape.last());
        Ok(Self {
            depth,
            mlp_width,
            pre_norm: shape("pre_norm.gain").is_some(),
            projection: match (&projection, has_bias) {
                (None, _) => Projection::None,
                (Some(_), true) => Projection::Linear,
                (Some(_), false) => Projection::NoBias,
            },
            outputs: outputs.copied().unwrap_or(width),
        })
    }
}

impl DescribedImage {
    /// What the shapes say.
    pub fn infer(names: Names, archive: &Archive) -> Result<Self, FileError> {
        let error = |problem: String| FileError::new(archive.path(), problem);
        let shape = |ours: &str| names.shape(ours, archive);
        let patches = shape("image.patches.weight");
        let Some((&width, inputs)) = patches.as_ref().and_then(|shape| shape.split_last()) else {
            return Err(error("has no map of patches to the image tower".into()));
        };
        let inputs = count(inputs);
        let patch = (inputs / 3).isqrt();
        if patch == 0 || patch.saturating_mul(patch).saturating_mul(3) != inputs {
            return Err(error(format!(
                "maps patches of {inputs} numbers, which are no squares of RGB"
            )));
        }
        let has_class = names.find("image.class_token", archive).is_some();
        let has_probe = names.find("image.pool.probe", archive).is_some();
        let position = shape("image.position").unwrap_or_default();
        let rows = position.split_last().map_or(0, |(_, rows)| count(rows));
        let side = |rows: usize| (rows.isqrt().pow(2) == rows && rows > 0).then(|| rows.isqrt());
        let with_class = has_class.then(|| side(rows.wrapping_sub(1))).flatten();
        let Some(grid) = with_class.or_else(|| side(rows)) else {
            return Err(error(format!(
                "has {rows} positions of patches, which are no square"
            )));
        };
        let blocks = Blocks::infer(&names, archive, "image", width)?;
        let heads = Size::heads_of(width, blocks.depth);
        let mut unsaid = vec!["activation", "norm_eps"];
        unsaid.extend(heads.is_none().then_some("heads"));
        let config = ImageConfig {
            width,
            depth: blocks.depth,
            heads: heads.unwrap_or(1),
            mlp_width: blocks.mlp_width,
            patch,
            patch_bias: shape("image.patches.bias").is_some(),
            pre_norm: blocks.pre_norm,
            pool: match (has_probe, has_class) {
                (true, _) => ImagePool::Map,
                (false, true) => ImagePool::Cls,
                (false, false) => ImagePool::Mean,
            },
            projection: blocks.projection,
            ..ImageConfig::default()
        };
        Ok(Self {
            size: grid.saturating_mul(patch),
            outputs: blocks.outputs,
            class_has_position: with_class.is_some(),
            names,
            config,
            unsaid,
        })
    }

    /// The settings `keys` are as the file says.
    pub fn said(&mut self, keys: &[&str]) {
        self.unsaid.retain(|unsaid| !keys.contains(unsaid));
    }
}

impl DescribedText {
    /// What the shapes say.
    pub fn infer(names: Names, archive: &Archive) -> Result<Self, FileError> {
        let error = |problem: &str| FileError::new(archive.path(), problem.to_owned());
        let tokens = names.shape("text.tokens", archive).unwrap_or_default();
        let position = names.shape("text.position", archive).unwrap_or_default();
        let ([vocabulary, width], [.., context, _]) = (tokens.as_slice(), position.as_slice())
        else {
            return Err(error(
                "has no table of tokens and positions of the text tower",
            ));
        };
        let blocks = Blocks::infer(&names, archive, "text", *width)?;
        let heads = Size::heads_of(*width, blocks.depth);
        let has_probe = names.find("text.pool.probe", archive).is_some();
        let mut unsaid = vec!["activation", "norm_eps", "causal"];
        unsaid.extend(heads.is_none().then_some("heads"));
        unsaid.extend((!has_probe).then_some("pool"));
        unsaid.push("eos_id");
        let config = TextConfig {
            width: *width,
            depth: blocks.depth,
            heads: heads.unwrap_or(1),
            mlp_width: blocks.mlp_width,
            context: *context,
            vocabulary: *vocabulary,
            pre_norm: blocks.pre_norm,
            pool: if has_probe {
                TextPool::Map
            } else {
                TextPool::Last
            },
            projection: blocks.projection,
            ..TextConfig::default()
        };
        Ok(Self {
            outputs: blocks.outputs,
            names,
            config,
            unsaid,
        })
    }

    /// The settings `keys` are as the file says.
    pub fn said(&mut self, keys: &[&str]) {
        self.unsaid.retain(|unsaid| !keys.contains(unsaid));
    }
}
