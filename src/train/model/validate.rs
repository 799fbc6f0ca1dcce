//! What the types of a tower's settings cannot say. Where a tower is as a file says, the file is asked when the run
//! starts, and what it says is held against the same limits.

use serde::Serialize;
use serde_json::{Map, Value};

use super::image::ImageConfig;
use super::projection::Projection;
use super::size::{Shape, Size};
use super::start::TowerInit;
use super::text::TextConfig;
use super::{ModelConfig, TowerKind};
use crate::train::config::{ConfigError, check};
use crate::train::data::DataConfig;

/// Limits that no tower of the field comes near, so that a slip of the keyboard is refused and not tried.
const MOST_WIDTH: usize = 1 << 16;
const MOST_PARAMETERS: usize = 20_000_000_000;
const MOST_ROWS: usize = 1 << 24;

/// The keys of the settings that both towers have.
struct Keys {
    size: &'static str,
    width: &'static str,
    depth: &'static str,
    heads: &'static str,
    mlp_ratio: &'static str,
    mlp_width: &'static str,
    norm_eps: &'static str,
    projection: &'static str,
    init: &'static str,
}

macro_rules! keys_of {
    ($tower:literal) => {
        Keys {
            size: concat!("model.", $tower, ".size"),
            width: concat!("model.", $tower, ".width"),
            depth: concat!("model.", $tower, ".depth"),
            heads: concat!("model.", $tower, ".heads"),
            mlp_ratio: concat!("model.", $tower, ".mlp_ratio"),
            mlp_width: concat!("model.", $tower, ".mlp_width"),
            norm_eps: concat!("model.", $tower, ".norm_eps"),
            projection: concat!("model.", $tower, ".projection"),
            init: concat!("model.", $tower, ".init"),
        }
    };
}

const IMAGE: Keys = keys_of!("image");
const TEXT: Keys = keys_of!("text");

/// The settings that both towers have, as far as they limit each other.
struct Common<'a> {
    keys: Keys,
    kind: TowerKind,
    size: Size,
    shape: Option<Shape>,
    /// As they are written: width, depth, heads, mlp_ratio, mlp_width; then their defaults.
    numbers: [usize; 5],
    defaults: [usize; 5],
    norm_eps: f64,
    projection: Projection,
    init: &'a TowerInit,
    /// The first setting that says what a file says too, where one is asked.
    beside: Option<String>,
}

/// The first setting of a tower that is not its default, besides those that name a file.
fn beside<T: Default + Serialize>(config: &T) -> Option<String> {
    let object = |config: &T| match serde_json::to_value(config) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let usual = object(&T::default());
    let changed = object(config).into_iter();
    let mut changed = changed.filter(|(key, value)| usual.get(key) != Some(value));
    let named = changed.find(|(key, _)| !["size", "init"].contains(&key.as_str()));
    named.map(|(key, value)| format!("{key} = {value}"))
}

impl<'a> Common<'a> {
    fn of_image(config: &'a ImageConfig) -> Self {
        let numbers = |c: &ImageConfig| [c.width, c.depth, c.heads, c.mlp_ratio, c.mlp_width];
        Self {
            keys: IMAGE,
            kind: config.tower,
            size: config.size,
            shape: config.shape(),
            numbers: numbers(config),
            defaults: numbers(&ImageConfig::default()),
            norm_eps: config.norm_eps,
            projection: config.projection,
            init: &config.init,
            beside: (config.size == Size::File)
                .then(|| beside(config))
                .flatten(),
        }
    }

    fn of_text(config: &'a TextConfig) -> Self {
        let numbers = |c: &TextConfig| [c.width, c.depth, c.heads, c.mlp_ratio, c.mlp_width];
        Self {
            keys: TEXT,
            kind: config.tower,
            size: config.size,
            shape: config.shape(),
            numbers: numbers(config),
            defaults: numbers(&TextConfig::default()),
            norm_eps: config.norm_eps,
            projection: config.projection,
            init: &config.init,
            beside: (config.size == Size::File)
                .then(|| beside(config))
                .flatten(),
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let Keys {
            size,
            width,
            depth,
            heads,
            mlp_ratio,
            mlp_width,
            norm_eps,
            ..
        } = self.keys;
        if self.size != Size::Custom {
            let keys = [width, depth, heads, mlp_ratio, mlp_width];
            let settings = keys.into_iter().zip(self.numbers).zip(self.defaults);
            for ((key, value), default) in settings {
                check(key, value == default, || {
                    format!("{value} is said by {size} already: leave one of the two out")
                })?;
            }
        }
        if self.size == Size::File {
            check(size, self.beside.is_none(), || {
                let beside = self.beside.as_deref().unwrap_or_default();
                format!(
                    "\"file\" takes all of the tower from the file, and {beside} is set beside it: leave one of the two out"
                )
            })?;
            let named = *self.init != TowerInit::Random;
            check(size, named, || {
                format!(
                    "\"file\" asks the checkpoint that {} names, and it names none: set it to {{ file = \"PATH\" }}",
                    self.keys.init
                )
            })?;
        }
        check(norm_eps, (0.0..1.0).contains(&self.norm_eps), || {
            format!("{} is not between 0 and 1", self.norm_eps)
        })?;
        if self.kind == TowerKind::Features {
            let own = self.size == Size::Custom && self.init.file().is_none();
            check(size, own, || {
                "a tower over vectors is of no size of the field and in no checkpoint of it: leave it \"custom\"".into()
            })?;
        }
        self.shape.map_or(Ok(()), |shape| self.limits(shape))
    }

    fn limits(&self, shape: Shape) -> Result<(), ConfigError> {
        let keys = &self.keys;
        let within = |key, value: usize, most: usize| {
            check(key, (1..=most).contains(&value), || {
                format!("{value} is not between 1 and {most}")
            })
        };
        let Shape {
            width,
            depth,
            heads,
            mlp_width,
        } = shape;
        within(keys.width, width, MOST_WIDTH)?;
        within(keys.mlp_width, mlp_width, 64 * MOST_WIDTH)?;
        if self.kind == TowerKind::Transformer {
            within(keys.mlp_ratio, self.numbers[3], 64)?;
            let fits = heads > 0 && width.is_multiple_of(heads);
            check(keys.heads, fits, || {
                format!("width {width} does not divide among {heads} heads")
            })?;
        }
        // Four matrices of attention and two of the MLP: nearly all that a block is.
        let block = width.saturating_mul(4 * width + 2 * mlp_width);
        let parameters = block.saturating_mul(depth);
        check(keys.depth, parameters <= MOST_PARAMETERS, || {
            format!(
                "{depth} blocks of width {width} are {parameters} parameters, more than {MOST_PARAMETERS}"
            )
        })
    }

    /// A tower without a projection gives as many numbers as it is wide.
    fn validate_outputs(&self, embed_dim: usize) -> Result<(), ConfigError> {
        let Some(Shape { width, depth, .. }) = self.shape else {
            return Ok(());
        };
        // With no layer at all, the vectors themselves are the embedding: their width is the data's to say.
        let is_given = self.kind == TowerKind::Features && depth == 0;
        let fits = self.projection != Projection::None || is_given || width == embed_dim;
        check(self.keys.projection, fits, || {
            format!(
                "\"none\" gives the {width} numbers of the tower and not the {embed_dim} of model.embed_dim: make them equal"
            )
        })
    }
}

impl ModelConfig {
    /// `supervised`: the image tower gives classes and there is no text tower.
    pub(in crate::train) fn validate(
        &self,
        data: &DataConfig,
        supervised: bool,
    ) -> Result<(), ConfigError> {
        let Self {
            embed_dim,
            image,
            text,
        } = self;
        check(
            "model.embed_dim",
            (1..=MOST_WIDTH).contains(embed_dim),
            || format!("{embed_dim} is not between 1 and {MOST_WIDTH}"),
        )?;
        for tower in [Common::of_image(image), Common::of_text(text)] {
            tower.validate()?;
            if !supervised {
                tower.validate_outputs(*embed_dim)?;
            }
        }
        check(
            "model.image.projection",
            !supervised || image.projection != Projection::None,
            || "\"none\" leaves no map to the classes of the supervised loss".into(),
        )?;
        let side = data.image_size();
        let tiles = image.patch > 0 && side.is_multiple_of(image.patch);
        let patches_count = image.tower == TowerKind::Transformer && image.size != Size::File;
        check("model.image.patch", tiles || !patches_count, || {
            format!(
                "patches of {} do not tile images of {side} pixels",
                image.patch
            )
        })?;
        check(
            "model.text.context",
            (2..=4096).contains(&text.context),
            || format!("{} is not between 2 and 4096 tokens", text.context),
        )?;
        check(
            "model.text.vocabulary",
            text.vocabulary <= MOST_ROWS,
            || format!("{} is more than {MOST_ROWS}", text.vocabulary),
        )?;
        check("model.text.eos_id", text.eos_id >= -1, || {
            format!("{} is neither a token id nor -1", text.eos_id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::model::FileInit;

    fn problem(change: impl FnOnce(&mut ModelConfig)) -> ConfigError {
        let mut config = ModelConfig::default();
        change(&mut config);
        config.validate(&DataConfig::default(), false).unwrap_err()
    }

    #[test]
    fn a_named_size_says_all_of_it() {
        let mut config = ModelConfig::default();
        (config.image.size, config.image.patch) = (Size::So400m, 16);
        config.validate(&DataConfig::default(), false).unwrap();
        assert_eq!(
            config.image.shape().unwrap(),
            Shape {
                width: 1152,
                depth: 27,
                heads: 16,
                mlp_width: 4304
            }
        );
        let error = problem(|c| (c.text.size, c.text.depth) = (Size::B, 3));
        assert_eq!(error.key, "model.text.depth");
        assert!(error.problem.contains("model.text.size"), "{error}");
    }

    #[test]
    fn the_size_of_a_file_wants_a_file() {
        let error = problem(|c| c.image.size = Size::File);
        assert_eq!(error.key, "model.image.size");
        assert!(error.problem.contains("model.image.init"), "{error}");
        let mut config = ModelConfig::default();
        config.image.size = Size::File;
        config.image.init = TowerInit::File(FileInit {
            file: "x".into(),
            partial: false,
        });
        config.validate(&DataConfig::default(), false).unwrap();
    }

    #[test]
    fn a_tower_without_projection_is_as_wide_as_the_embedding() {
        let error = problem(|c| (c.image.projection, c.embed_dim) = (Projection::None, 32));
        assert_eq!(error.key, "model.image.projection");
        let mut config = ModelConfig::default();
        config.image.projection = Projection::None;
        config.validate(&DataConfig::default(), false).unwrap();
        let supervised = config.validate(&DataConfig::default(), true).unwrap_err();
        assert_eq!(supervised.key, "model.image.projection");
    }

    #[test]
    fn slips_of_the_keyboard_name_their_key() {
        type Change = fn(&mut ModelConfig);
        let cases: [(Change, &str); 8] = [
            (|c| c.image.heads = 5, "model.image.heads"),
            (|c| c.text.heads = 0, "model.text.heads"),
            (|c| c.image.mlp_width = usize::MAX, "model.image.mlp_width"),
            (|c| c.text.mlp_ratio = 0, "model.text.mlp_width"),
            (|c| c.image.depth = usize::MAX, "model.image.depth"),
            (|c| c.text.norm_eps = f64::NAN, "model.text.norm_eps"),
            (|c| c.image.patch = 0, "model.image.patch"),
            (|c| c.text.eos_id = -2, "model.text.eos_id"),
        ];
        for (change, key) in cases {
            assert_eq!(problem(change).key, key);
        }
    }
}
