use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShapesConfig {
    /// Side of the square images in pixels.
    pub image_size: usize,
    /// Other objects in a picture, at most.
    pub distractors: usize,
    /// Which endless stream of scenes; the evaluation pictures follow from it alone.
    pub seed: u64,
}

impl Default for ShapesConfig {
    fn default() -> Self {
        Self { image_size: 32, distractors: 1, seed: 0 }
    }
}
