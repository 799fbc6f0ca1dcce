//! Runs that must be done before a cell can start, because a tower starts from their weights: `[runs.NAME]`, told by
//! its own settings on top of the defaults (not of `[base]`: what it is should not change when the grid's base
//! does), and named by `{ from = "NAME" }`. Here names become run ids; nothing is scheduled.

use serde_json::{Value, json};

use super::RunSpec;
use super::error::SpecError;
use super::experiment::{Experiment, Setting, shown};
use super::path;
use super::problem::Problem;
use super::source::Place;
use crate::record::RunId;
use crate::train::TrainConfig;
use crate::train::model::{ModelConfig, Size, TowerInit};

/// Settings whose value may name another run.
const TOWERS: [&str; 2] = ["model.image.init", "model.text.init"];

/// Runs that may wait for each other in a row.
const LONGEST_CHAIN: usize = 32;

/// `[runs.NAME]`.
#[derive(Clone, Debug)]
pub struct Prerequisite {
    pub name: String,
    pub settings: Vec<Setting>,
    pub at: Place,
}

/// The prerequisites by name, those that others need first.
pub struct Named(pub Vec<(String, RunSpec)>);

/// `value` with any name of a run in it replaced by an id, for a check that cannot know it yet.
pub fn stand_in(key: &str, value: &Value) -> Value {
    replace_names::<()>(key, value, &mut |_| Ok("0".repeat(RunId::LENGTH)))
        .unwrap_or_else(|()| value.clone())
}

/// `value`, which stands at `key`, with each name of a run replaced by what `id_of` says.
fn replace_names<E>(
    key: &str,
    value: &Value,
    id_of: &mut impl FnMut(&str) -> Result<String, E>,
) -> Result<Value, E> {
    let touches =
        |tower: &&str| *tower == key || path::is_inside(tower, key) || path::is_inside(key, tower);
    if !TOWERS.iter().any(touches) {
        return Ok(value.clone());
    }
    let mut document = json!({});
    path::set(&mut document, key, value.clone());
    for tower in TOWERS {
        let from = path::join(tower, "from");
        if let Some(Value::String(name)) = path::get(&document, &from) {
            let id = id_of(name)?;
            path::set(&mut document, &from, json!(id));
        }
    }
    Ok(path::get(&document, key).cloned().unwrap_or_default())
}

impl Named {
    /// Make every prerequisite of `experiment` a run.
    pub fn resolve(experiment: &Experiment) -> Result<Self, SpecError> {
        let mut named = Self(Vec::new());
        for run in &experiment.prerequisites {
            named.add(experiment, run, &mut Vec::new())?;
        }
        Ok(named)
    }

    fn add<'e>(
        &mut self,
        experiment: &'e Experiment,
        run: &'e Prerequisite,
        waiting: &mut Vec<&'e str>,
    ) -> Result<(), SpecError> {
        if self.get(&run.name).is_some() {
            return Ok(());
        }
        let section = format!("runs.{}", run.name);
        if waiting.contains(&run.name.as_str()) {
            let circle = format!("needs itself: {} -> {}", waiting.join(" -> "), run.name);
            return Err(experiment.error(
                run.at,
                &section,
                &circle,
                "runs that need each other in one direction",
            ));
        }
        if waiting.len() == LONGEST_CHAIN {
            let expected = format!("at most {LONGEST_CHAIN}");
            return Err(experiment.error(
                run.at,
                &section,
                "too many runs wait for this one in a row",
                &expected,
            ));
        }
        waiting.push(&run.name);
        let mut document = json!({});
        for Setting { key, value, at } in &run.settings {
            // What this run needs comes first.
            replace_names(key, value, &mut |name| {
                experiment
                    .prerequisites
                    .iter()
                    .find(|other| other.name == name)
                    .map_or(Ok(()), |needed| self.add(experiment, needed, waiting))?;
                Ok::<_, SpecError>(String::new())
            })?;
            path::set(
                &mut document,
                key,
                self.with_ids(experiment, *at, &section, key, value)?,
            );
        }
        waiting.pop();
        let at_of = |key: &str| {
            run.settings
                .iter()
                .find(|s| s.key == key || path::is_inside(key, &s.key))
                .map_or(run.at, |s| s.at)
        };
        let spec = self
            .run(experiment, &document)
            .map_err(|problem| experiment.problem(at_of(&problem.key), &section, problem))?;
        self.0.push((run.name.clone(), spec));
        Ok(())
    }

    /// The run that `document` describes, if it can be.
    pub fn run(&self, experiment: &Experiment, document: &Value) -> Result<RunSpec, Problem> {
        let config = experiment.schema.read(document)?;
        config.validate()?;
        match self.unfit(&config) {
            Some(problem) => Err(problem),
            None => Ok(RunSpec::in_schema(&experiment.schema, config)),
        }
    }

    /// Why a tower of `config` cannot start from the run that it names, if that run is one of these.
    fn unfit(&self, config: &TrainConfig) -> Option<Problem> {
        let ModelConfig { image, text, .. } = &config.model;
        [("model.image", &image.init), ("model.text", &text.init)]
            .into_iter()
            .find_map(|(tower, init)| {
                let TowerInit::From(id) = init else {
                    return None;
                };
                let (name, source) = self.0.iter().find(|(_, spec)| spec.id == *id)?;
                mismatch(tower, config, name, &source.config)
            })
    }

    pub fn get(&self, name: &str) -> Option<&RunSpec> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, spec)| spec)
    }

    /// `value` with the names of runs replaced by their ids; an id that is one already stays.
    pub fn with_ids(
        &self,
        experiment: &Experiment,
        at: Place,
        section: &str,
        key: &str,
        value: &Value,
    ) -> Result<Value, SpecError> {
        replace_names(key, value, &mut |name| match self.get(name) {
            Some(spec) => Ok(spec.id.to_string()),
            None if name.parse::<RunId>().is_ok() => Ok(name.to_owned()),
            None => {
                let known: Vec<&str> = experiment
                    .prerequisites
                    .iter()
                    .map(|run| run.name.as_str())
                    .collect();
                let expected = if known.is_empty() {
                    "a section [runs.NAME], or a run id".to_owned()
                } else {
                    format!("one of {}, or a run id", known.join(", "))
                };
                Err(experiment.error(
                    at,
                    &shown(section, key),
                    &format!("there is no run `{name}`"),
                    &expected,
                ))
            }
        })
    }
}

/// The first setting by which the shape of a tower differs from that of the tower it starts from.
fn mismatch(
    tower: &str,
    config: &TrainConfig,
    name: &str,
    source: &TrainConfig,
) -> Option<Problem> {
    let init = path::join(tower, "init");
    if tower == "model.text" && !source.has_text_tower() {
        return Some(Problem {
            key: init,
            problem: format!("the run `{name}` has no text tower"),
            expected: "a run with a loss over images and texts".into(),
        });
    }
    // What a file says is known when the run starts, and the weights are held against it then.
    let by_file = |config: &TrainConfig| match tower {
        "model.text" => config.model.text.size == Size::File,
        _ => config.model.image.size == Size::File,
    };
    if by_file(config) || by_file(source) {
        return None;
    }
    let shape = |config: &TrainConfig| {
        let mut shape = path::Flat::new();
        let document = serde_json::to_value(&config.model).unwrap_or_default();
        path::flatten_under("model", &document, &mut shape);
        shape.retain(|key, _| {
            path::is_inside(key, tower) && *key != init && !path::is_inside(key, &init)
        });
        if tower == "model.image" {
            // A position embedding has one row a patch.
            shape.insert("data.image_size".into(), json!(config.data.image_size()));
        }
        shape
    };
    let difference = path::diff(&shape(config), &shape(source))
        .into_iter()
        .next()?;
    let side = |value: Option<Value>| value.as_ref().map_or_else(String::new, path::label);
    let (here, there) = (side(difference.left), side(difference.right));
    Some(Problem {
        key: difference.key,
        problem: format!(
            "is {here} here and {there} in the run `{name}` that {tower}.init starts from"
        ),
        expected: "the same in both".into(),
    })
}
