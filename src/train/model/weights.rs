//! The files that towers of a run start from: what they say in place of the settings, whether they fit the others, and
//! their weights.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use super::import::{Checkpoint, FileError, Report, Tower};
use super::params::Layout;
use super::{FileInit, ImageConfig, ModelConfig, Shape, Size, TextConfig};
use crate::train::TrainConfig;
use crate::train::loss::LossConfig;

/// Why a run cannot start from a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that cannot be opened.
    #[error("model.{tower}.init: {error}")]
    Open {
        tower: &'static str,
        error: FileError,
    },
    /// Settings that the file contradicts.
    #[error("model.{tower}.init: {path} ({format}) holds another {tower} tower: {}; model.{tower}.size = \"file\" takes all of the tower as it is there", .settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Settings {
        tower: &'static str,
        path: String,
        format: &'static str,
        settings: Vec<Differs>,
    },
    /// A file that leaves open what `size = "file"` asks of it.
    #[error(
        "model.{tower}.size: {path} does not say {}: set model.{tower}.size = \"custom\" and give {}",
        .unsaid.join(", "), .settings.join(", ")
    )]
    Unsaid {
        tower: &'static str,
        path: String,
        unsaid: Vec<&'static str>,
        settings: Vec<String>,
    },
    /// Parameters that did not fit, by name.
    #[error(
        "model.{tower}.init: {path} does not fill the {tower} tower: {names}. To start at random what is missing and pass \
         over the rest, ask for it: {{ file = \"…\", partial = true }}"
    )]
    Parameters {
        tower: &'static str,
        path: String,
        names: String,
    },
    #[error(
        "model.{tower}.init: {path} has nothing of the {tower} tower that this run has: {names}"
    )]
    Nothing {
        tower: &'static str,
        path: String,
        names: String,
    },
    #[error("{key}: \"file\" takes it from the file that a tower starts from, and {problem}")]
    Scalar { key: &'static str, problem: String },
}

/// A setting of the run and what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Differs {
    pub key: String,
    pub here: Value,
    pub there: Value,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, here, there } = self;
        write!(f, "set {key} = {there}")?;
        match here == there {
            true => Ok(()),
            false => write!(f, " (it is {here})"),
        }
    }
}

/// The files that towers start from, opened; each once.
#[derive(Default)]
pub struct Weights {
    files: Vec<Checkpoint>,
    image: Option<(usize, FileInit)>,
    text: Option<(usize, FileInit)>,
}

impl Weights {
    /// Open what `config` names.
    pub fn open(config: &ModelConfig, has_text: bool) -> Result<Self, WeightsError> {
        let mut weights = Self::default();
        let mut opened: Vec<String> = Vec::new();
        let mut place = |tower: Tower, init: Option<&FileInit>| -> Result<_, WeightsError> {
            let Some(init) = init else { return Ok(None) };
            let known = opened.iter().position(|path| *path == init.file);
            let place = match known {
                Some(place) => place,
                None => {
                    let tower = tower.name();
                    let file = Checkpoint::open(Path::new(&init.file));
                    let file = file.map_err(|error| WeightsError::Open { tower, error })?;
                    weights.files.push(file);
                    opened.push(init.file.clone());
                    opened.len() - 1
                }
            };
            Ok(Some((place, init.clone())))
        };
        let image = place(Tower::Image, config.image.init.file())?;
        let text = place(Tower::Text, config.text.init.file().filter(|_| has_text))?;
        (weights.image, weights.text) = (image, text);
        Ok(weights)
    }

    /// `config` with everything that the files are to say in numbers, and held against what they say besides.
    pub fn resolve(&mut self, config: &TrainConfig) -> Result<TrainConfig, WeightsError> {
        let mut resolved = config.clone();
        let supervised = matches!(config.loss, LossConfig::Classify(_));
        let embed_dim = config.model.embed_dim;
        if let Some((place, init)) = &self.image {
            let file = &self.files[*place];
            let there = file.described.image.as_ref();
            let there = there.ok_or_else(|| file.lacks(Tower::Image))?;
            let said = said(Tower::Image, facts_of_image(&there.config), &there.unsaid);
            let here = &mut resolved.model.image;
            if here.size == Size::File {
                complete(file, Tower::Image, &said, &there.unsaid)?;
                *here = ImageConfig {
                    init: here.init.clone(),
                    ..there.config.clone()
                };
            }
            let outputs = (embed_dim, there.outputs, supervised);
            agree(
                file,
                init,
                Tower::Image,
                facts_of_image(here),
                said,
                outputs,
            )?;
        }
        if let Some((place, init)) = &self.text {
            let file = &self.files[*place];
            let there = file.described.text.as_ref();
            let there = there.ok_or_else(|| file.lacks(Tower::Text))?;
            let said = said(Tower::Text, facts_of_text(&there.config), &there.unsaid);
            let here = &mut resolved.model.text;
            if here.size == Size::File {
                complete(file, Tower::Text, &said, &there.unsaid)?;
                *here = TextConfig {
                    init: here.init.clone(),
                    ..there.config.clone()
                };
            }
            if here.vocabulary == 0 {
                here.vocabulary = there.config.vocabulary;
            }
            let outputs = (embed_dim, there.outputs, false);
            agree(file, init, Tower::Text, facts_of_text(here), said, outputs)?;
        }
        self.resolve_scalars(&mut resolved.loss)?;
        Ok(resolved)
    }

    /// Put t' and b of the file where the loss asks for them.
    fn resolve_scalars(&mut self, loss: &mut LossConfig) -> Result<(), WeightsError> {
        let wanted = loss.scalars_from_file();
        let keys = ["loss.log_t.init", "loss.bias.init"];
        let mut found = [None, None];
        for (which, key) in keys.into_iter().enumerate().filter(|(i, _)| wanted[*i]) {
            let error = |problem: &str| WeightsError::Scalar {
                key,
                problem: problem.to_owned(),
            };
            let [image, text] = [&self.image, &self.text].map(|t| t.as_ref().map(|(n, _)| *n));
            let place = match (image, text) {
                (Some(a), Some(b)) if a != b => {
                    return Err(error("the two start from different files: give a number"));
                }
                (Some(place), _) | (_, Some(place)) => place,
                (None, None) => {
                    return Err(error(
                        "none does: give a number, or model.image.init a file",
                    ));
                }
            };
            let value = self.files[place].scalars()?[which];
            let value = value.ok_or_else(|| error("this file has none: give a number"))?;
            found[which] = Some(value);
        }
        loss.set_scalars(found);
        Ok(())
    }

    /// Put the weights of the files into `values`, all parameters in the order of `layout`; `config` is resolved. What was
    /// made to fit, and what a partial load passed over, comes back in sentences.
    pub fn fill(
        &mut self,
        values: &mut [f32],
        layout: &Layout,
        config: &TrainConfig,
    ) -> Result<Vec<String>, WeightsError> {
        let mut told = Vec::new();
        if let Some((place, init)) = &self.image {
            let file = &mut self.files[*place];
            let size = config.data.image_size();
            let report = file.fill_image(values, layout, &config.model.image, size)?;
            told.extend(judged(file, init, Tower::Image, &report)?);
        }
        if let Some((place, init)) = &self.text {
            let file = &mut self.files[*place];
            let report = file.fill_text(values, layout)?;
            told.extend(judged(file, init, Tower::Text, &report)?);
        }
        Ok(told)
    }
}

/// A setting, by its name within the tower, and its value.
type Fact = (&'static str, Value);

/// What a tower of any kind has; null while it is for a file to say.
fn numbers(shape: Option<Shape>) -> Vec<Fact> {
    let number = |of: fn(&Shape) -> usize| json!(shape.as_ref().map(of));
    vec![
        ("width", number(|s| s.width)),
        ("depth", number(|s| s.depth)),
        ("heads", number(|s| s.heads)),
        ("mlp_width", number(|s| s.mlp_width)),
    ]
}

fn facts_of_image(config: &ImageConfig) -> Vec<Fact> {
    let mut facts = numbers(config.shape());
    facts.extend([
        ("patch", json!(config.patch)),
        ("patch_bias", json!(config.patch_bias)),
        ("activation", json!(config.activation)),
        ("norm_eps", json!(config.norm_eps)),
        ("pre_norm", json!(config.pre_norm)),
        ("pool", json!(config.pool)),
        ("projection", json!(config.projection)),
    ]);
    facts
}

fn facts_of_text(config: &TextConfig) -> Vec<Fact> {
    let mut facts = numbers(config.shape());
    facts.extend([
        ("context", json!(config.context)),
        ("vocabulary", json!(config.vocabulary)),
        ("causal", json!(config.causal)),
        ("activation", json!(config.activation)),
        ("norm_eps", json!(config.norm_eps)),
        ("pre_norm", json!(config.pre_norm)),
        ("pool", json!(config.pool)),
        ("eos_id", json!(config.eos_id)),
        ("projection", json!(config.projection)),
    ]);
    facts
}

/// The facts that a file says.
fn said(tower: Tower, facts: Vec<Fact>, unsaid: &[&'static str]) -> Vec<Fact> {
    let pools_at_end = facts.contains(&("pool", json!("eos")));
    let told = facts.into_iter().filter(|(name, _)| !unsaid.contains(name));
    // Which id ends a text is of no account to a tower that does not look for it.
    told.filter(|(name, _)| tower == Tower::Image || *name != "eos_id" || pools_at_end)
        .collect()
}

/// An error unless the file says all of the tower.
fn complete(
    file: &Checkpoint,
    tower: Tower,
    said: &[Fact],
    unsaid: &[&'static str],
) -> Result<(), WeightsError> {
    // Which id ends a text is only asked where the pool is known to look for it.
    let open: Vec<&'static str> = unsaid
        .iter()
        .copied()
        .filter(|name| *name != "eos_id")
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let tower = tower.name();
    let known = said
        .iter()
        .map(|(name, value)| format!("model.{tower}.{name} = {value}"));
    let missing = open.iter().map(|name| format!("model.{tower}.{name} = …"));
    Err(WeightsError::Unsaid {
        tower,
        path: file.path().display().to_string(),
        settings: known.chain(missing).collect(),
        unsaid: open,
    })
}

/// What a partial load may differ in: the parameters that it touches are told afterwards, by name.
const PARTIAL: [&str; 10] = [
    "depth",
    "context",
    "vocabulary",
    "patch",
    "patch_bias",
    "pre_norm",
    "pool",
    "eos_id",
    "projection",
    "embed_dim",
];

/// An error unless the settings `here` are those that the file `said`. `outputs` is the width of the embedding here and
/// there, and whether there is none here.
fn agree(
    file: &Checkpoint,
    init: &FileInit,
    tower: Tower,
    here: Vec<Fact>,
    said: Vec<Fact>,
    (embed_dim, outputs, supervised): (usize, usize, bool),
) -> Result<(), WeightsError> {
    let value_here = |name: &str| {
        let fact = here.iter().find(|(known, _)| *known == name);
        fact.map_or(Value::Null, |(_, value)| value.clone())
    };
    let may_differ = |name: &str| init.partial && PARTIAL.contains(&name);
    let widths_differ = said
        .iter()
        .any(|(name, there)| *name == "width" && value_here(name) != *there);
    let settings = said.into_iter().filter_map(|(name, there)| {
        let here = value_here(name);
        // Shorter texts have the first of its positions.
        let shorter = name == "context" && here.as_u64() <= there.as_u64();
        // The ratio that it may follow from is of another width then.
        let follows = name == "mlp_width" && widths_differ;
        let differs = (here != there || follows) && !may_differ(name) && !shorter;
        differs.then(|| Differs {
            key: format!("model.{}.{name}", tower.name()),
            here,
            there,
        })
    });
    let mut settings: Vec<Differs> = settings.collect();
    if !supervised && outputs != embed_dim && !may_differ("embed_dim") {
        settings.push(Differs {
            key: "model.embed_dim".into(),
            here: json!(embed_dim),
            there: json!(outputs),
        });
    }
    if settings.is_empty() {
        return Ok(());
    }
    Err(WeightsError::Settings {
        tower: tower.name(),
        path: file.path().display().to_string(),
        format: file.described.format,
        settings,
    })
}

/// What to tell of a load, if it may stand.
fn judged(
    file: &Checkpoint,
    init: &FileInit,
    tower: Tower,
    report: &Report,
) -> Result<Vec<String>, WeightsError> {
    let (tower, path) = (tower.name(), file.path().display().to_string());
    let names = report.mismatches();
    if report.taken == 0 {
        return Err(WeightsError::Nothing { tower, path, names });
    }
    if !report.is_whole() && !init.partial {
        return Err(WeightsError::Parameters { tower, path, names });
    }
    let format = file.described.format;
    let mut told: Vec<String> = report
        .fitted
        .iter()
        .map(|fitted| format!("{path}: {fitted}"))
        .collect();
    if !report.is_whole() {
        told.push(format!(
            "{path} ({format}) gave {} parameters of the {tower} tower, as a partial load; {names}",
            report.taken
        ));
    }
    Ok(told)
}
