//! How large a transformer is: by the names that the field gives to sizes, or by numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A size by name (table 2 of arXiv 2106.04560, big_vision's `decode_variant`), as in ViT-B or So400m.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// As width, depth, heads and mlp_ratio or mlp_width say.
    #[default]
    Custom,
    /// Width 192, depth 12, 3 heads, MLP 768.
    Ti,
    /// Width 384, depth 12, 6 heads, MLP 1536.
    S,
    /// Width 768, depth 12, 12 heads, MLP 3072.
    B,
    /// Width 1024, depth 24, 16 heads, MLP 4096.
    L,
    /// Width 1152, depth 27, 16 heads, MLP 4304 (arXiv 2305.13035).
    So400m,
    /// As the checkpoint says that init names: the whole shape of the tower, patch, pool and the like included.
    File,
}

/// The residual stream and the blocks on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    /// Width of the hidden layer of an MLP.
    pub mlp_width: usize,
}

impl Size {
    /// The size in numbers; none while it is for a file to say. `mlp_width` 0 goes by `mlp_ratio`.
    pub fn shape(
        self,
        [width, depth, heads]: [usize; 3],
        mlp_ratio: usize,
        mlp_width: usize,
    ) -> Option<Shape> {
        let by_ratio = mlp_ratio.saturating_mul(width);
        match self {
            Self::File => None,
            Self::Custom => Some(Shape {
                width,
                depth,
                heads,
                mlp_width: if mlp_width == 0 { by_ratio } else { mlp_width },
            }),
            name => name.named(),
        }
    }

    /// What the name stands for; none for the two that are no names.
    pub fn named(self) -> Option<Shape> {
        let (width, depth, heads, mlp_width) = match self {
            Self::Custom | Self::File => return None,
            Self::Ti => (192, 12, 3, 768),
            Self::S => (384, 12, 6, 1536),
            Self::B => (768, 12, 12, 3072),
            Self::L => (1024, 24, 16, 4096),
            Self::So400m => (1152, 27, 16, 4304),
        };
        Some(Shape {
            width,
            depth,
            heads,
            mlp_width,
        })
    }

    /// The heads of the named size that has this width and depth: what a checkpoint that does not say leaves open.
    pub fn heads_of(width: usize, depth: usize) -> Option<usize> {
        [Self::Ti, Self::S, Self::B, Self::L, Self::So400m]
            .into_iter()
            .filter_map(Self::named)
            .find(|shape| (shape.width, shape.depth) == (width, depth))
            .map(|shape| shape.heads)
    }
}
