//! Where image-text pairs come from. A data set is a pure function of its settings, the run's seed and the index
//! of the example, so a resumed run needs no reader state and every rank can make its own slice.

pub mod shapes;
pub mod words;

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataConfig {
    /// Rendered scenes with captions, made on the fly: no files, endless.
    Shapes(shapes::ShapesConfig),
}

impl Default for DataConfig {
    fn default() -> Self {
        Self::Shapes(shapes::ShapesConfig::default())
    }
}

impl DataConfig {
    /// Side of the square images in pixels.
    pub fn image_size(&self) -> usize {
        let Self::Shapes(config) = self;
        config.image_size
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self::Shapes(config) = self;
        check("data.image_size", (8..=512).contains(&config.image_size), || format!("{} is not between 8 and 512 pixels", config.image_size))?;
        check("data.distractors", config.distractors <= 8, || format!("{} is more than 8", config.distractors))
    }
}

/// Some examples, ready for a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// RGB in [-1, 1], `[examples, height, width, 3]`, row-major.
    pub pixels: Vec<f32>,
    /// Token ids, `[examples, context]`, padded at the end.
    pub tokens: Vec<i32>,
    /// Class of each example's main object, for supervised pretraining.
    pub labels: Vec<i32>,
}
