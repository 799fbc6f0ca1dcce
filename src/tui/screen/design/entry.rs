//! What is entered: keys from the catalogue, values as people type them, and the edit that an answer makes. What is
//! wrong with a line is said while it is typed.

use std::path::PathBuf;

use serde_json::Value;

use super::items::Item;
use crate::spec::edit::Edit;
use crate::spec::{path, preset, values};
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::effect::quoted;
use crate::tui::layer::{self, Layer, Note, Picker, Prompt};
use crate::tui::theme::Role;
use crate::tui::world::World;

const VALUES: &str =
    "1, 2, 3   16..256 x2   0..1 5   1e-4..1e-2 log 5   0..10 step 2   words, or [TOML]";
const SEEDS: &str = "A count, or a list: 3   or   7, 11, 13";
const DESIGN: &str =
    "full   one-factor   fractional fraction=2   random count=20 seed=1   latin-hypercube count=20";

/// Ask for what is under the cursor.
pub(super) fn open(item: &Item, desk: &Desk, reply: &mut Reply) {
    let Ok((experiment, _)) = desk.grid() else {
        return reply.problem("the file is no experiment yet: e edits it");
    };
    let prompt = match item {
        Item::Axis { key, first: true }
            if experiment
                .axis_of(key)
                .is_some_and(|axis| experiment.axes[axis].keys.len() > 1) =>
        {
            let axis = &experiment.axes[experiment.axis_of(key).unwrap_or(0)];
            let columns = axis.keys.iter().enumerate().map(|(n, key)| {
                let column: Vec<Value> = axis
                    .points
                    .iter()
                    .map(|point| point.values[n].clone())
                    .collect();
                format!("{key} {}", values::show(&column))
            });
            let shown = columns.collect::<Vec<_>>().join("; ");
            Prompt::new(
                Asked::ZipEdit,
                "Keys that move together",
                "KEY VALUES; KEY VALUES, lists of one length.",
                &shown,
            )
        }
        Item::Axis { key, .. } => {
            let axis = experiment.axis_of(key).map(|axis| &experiment.axes[axis]);
            let place = axis.and_then(|axis| axis.keys.iter().position(|known| known == key));
            let shown: Vec<Value> = match (axis, place) {
                (Some(axis), Some(place)) => axis
                    .points
                    .iter()
                    .map(|point| point.values[place].clone())
                    .collect(),
                _ => Vec::new(),
            };
            Prompt::new(
                Asked::AxisEdit { key: key.clone() },
                format!("Values of {key}"),
                VALUES,
                &values::show(&shown),
            )
        }
        Item::Base { key } => {
            let value = experiment
                .base
                .iter()
                .find(|setting| setting.key == *key)
                .map(|setting| setting.value.clone());
            let shown = value.map_or_else(String::new, |value| values::show(&[value]));
            Prompt::new(
                Asked::BaseValue { key: key.clone() },
                format!("{key} for all cells"),
                "One value.",
                &shown,
            )
        }
        Item::Seeds => {
            let seeds = &experiment.seeds;
            let counted = seeds.iter().copied().eq(0..seeds.len() as u64);
            let shown = if counted {
                seeds.len().to_string()
            } else {
                seeds
                    .iter()
                    .map(u64::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            Prompt::new(
                Asked::Seeds,
                "Seeds: repetitions of each cell",
                SEEDS,
                &shown,
            )
        }
        Item::Design => Prompt::new(
            Asked::Design,
            "Which cells of the product?",
            DESIGN,
            &super::items::design(experiment),
        ),
        Item::Question => Prompt::new(
            Asked::Question,
            "The question",
            "One sentence.",
            &experiment.question,
        ),
        Item::Exclude(_) => return reply.say(Said::new("d takes the exclusion away")),
        Item::Heading | Item::Other => return reply.say(Said::new("e edits this in the file")),
    };
    reply.ask(Layer::Prompt(prompt));
}

/// Ask for one of all settings.
pub(super) fn pick_key(asked: Asked, title: &str, desk: &Desk, world: &World, reply: &mut Reply) {
    let taken: Vec<String> = match (&asked, desk.grid()) {
        (Asked::BaseKey, _) | (_, Err(_)) => Vec::new(),
        (_, Ok((experiment, _))) => experiment
            .axes
            .iter()
            .flat_map(|axis| axis.keys.clone())
            .collect(),
    };
    let items = world
        .catalogue
        .iter()
        .filter(|known| known.key != "seed" && !taken.contains(&known.key))
        .map(|known| {
            let default = known
                .defaults
                .first()
                .map_or_else(String::new, |default| path::label(&default.value));
            let only = known
                .only_with
                .as_ref()
                .map_or_else(String::new, |only| format!(" Only with {only}."));
            layer::Item {
                label: known.key.clone(),
                detail: format!("{}, default {default}", known.sort),
                doc: format!("{}{only}", known.doc),
                ticked: None,
            }
        });
    reply.ask(Layer::Picker(Picker::new(asked, title, items.collect())));
}

pub(super) fn ask_file(desk: &Desk, reply: &mut Reply) {
    if desk.is_touched() {
        return reply.problem("save first: w, or take the changes back: u");
    }
    let hint = "A path; a file that does not exist is begun.";
    let shown = desk
        .path()
        .parent()
        .map_or_else(String::new, |dir| dir.join("").display().to_string());
    reply.ask(Layer::Prompt(Prompt::new(
        Asked::File,
        "Open which experiment?",
        hint,
        &shown,
    )));
}

/// The edits that `text` would make; what is wrong with it while it makes none. A setting becomes an axis by leaving
/// those that all cells share.
fn edits_of(asked: &Asked, text: &str, desk: &Desk) -> Result<Vec<Edit>, String> {
    let edit = edit_of(asked, text)?;
    let shared = |key: &String| {
        desk.standing()
            .is_some_and(|experiment| experiment.base.iter().any(|setting| setting.key == *key))
    };
    Ok(match edit {
        Edit::AddAxis { ref key, .. } if shared(key) => {
            vec![Edit::UnsetBase { key: key.clone() }, edit]
        }
        edit => vec![edit],
    })
}

fn edit_of(asked: &Asked, text: &str) -> Result<Edit, String> {
    let values = || values::parse(text).map_err(|e| e.to_string());
    Ok(match asked {
        Asked::AxisValues { key } => Edit::AddAxis {
            key: key.clone(),
            values: values()?,
        },
        Asked::AxisEdit { key } => Edit::SetAxis {
            key: key.clone(),
            values: values()?,
        },
        Asked::BaseValue { key } => match values()?.as_slice() {
            [value] => Edit::SetBase {
                key: key.clone(),
                value: value.clone(),
            },
            several => {
                return Err(format!(
                    "{} values; all cells share one, an axis has several",
                    several.len()
                ));
            }
        },
        Asked::ZipEdit => format!("zip set {text}")
            .parse()
            .map_err(|e| format!("{e}"))?,
        // A list needs no brackets where a person types it.
        Asked::Seeds if text.contains(',') && !text.starts_with('[') => format!("seeds [{text}]")
            .parse()
            .map_err(|e| format!("{e}"))?,
        Asked::Seeds => format!("seeds {text}")
            .parse()
            .map_err(|e| format!("{e}"))?,
        Asked::Design => format!("design {text}")
            .parse()
            .map_err(|e| format!("{e}"))?,
        Asked::Question => Edit::Question(text.to_owned()),
        _ => return Err(String::new()),
    })
}

/// What the line would mean: the values it stands for, the grid that would come of it, or what is wrong. The cells
/// behind the line show it meanwhile.
pub(super) fn notes(asked: &Asked, text: &str, desk: &mut Desk, world: &World) -> Vec<Note> {
    let edits = match edits_of(asked, text.trim(), desk) {
        Ok(edits) => edits,
        Err(problem) => {
            desk.set_preview(&[]);
            return if problem.is_empty() {
                Vec::new()
            } else {
                vec![(problem, Role::Warn)]
            };
        }
    };
    let mut notes = Vec::new();
    if let Some(Edit::AddAxis { key, values } | Edit::SetAxis { key, values }) = edits.last() {
        let shown: Vec<String> = values.iter().map(path::label).collect();
        notes.push((
            format!("{} values: {}", values.len(), shown.join("  ")),
            Role::Plain,
        ));
        let problem = values
            .iter()
            .find_map(|value| world.schema.problem_with(key, value));
        if let Some(problem) = problem {
            desk.set_preview(&[]);
            notes.push((problem, Role::Bad));
            return notes;
        }
    }
    if let Some(problem) = desk.set_preview(&edits) {
        notes.push((problem.to_string(), Role::Bad));
        return notes;
    }
    notes.push(match desk.grid() {
        Ok((_, grid)) => (
            format!("{} runs in {} cells", grid.runs().len(), grid.cells.len()),
            Role::Good,
        ),
        Err(problem) => (problem.to_owned(), Role::Bad),
    });
    notes
}

/// Make the change that an answer asks for.
pub(super) fn answer(
    asked: Asked,
    answer: &str,
    desk: &mut Desk,
    world: &World,
    reply: &mut Reply,
) {
    match asked {
        Asked::AxisKey => {
            let known = world.catalogue.iter().find(|known| known.key == answer);
            let choices: Vec<&str> = known.map_or_else(Vec::new, |known| {
                known
                    .choices
                    .iter()
                    .filter(|choice| choice.takes.is_empty())
                    .map(|choice| choice.word.as_str())
                    .collect()
            });
            let doc = known.map_or("", |known| known.doc.as_str());
            let mut prompt = Prompt::new(
                Asked::AxisValues {
                    key: answer.to_owned(),
                },
                format!("Values of {answer}"),
                format!("{doc}\n{VALUES}"),
                &choices.join(", "),
            );
            prompt.notes = notes(&prompt.asked, &choices.join(", "), desk, world);
            reply.ask(Layer::Prompt(prompt));
        }
        Asked::BaseKey => {
            let known = world.catalogue.iter().find(|known| known.key == answer);
            let default = known
                .and_then(|known| known.defaults.first())
                .map(|default| default.value.clone());
            let shown = default.map_or_else(String::new, |value| values::show(&[value]));
            let doc = known.map_or_else(String::new, |known| {
                format!("{} ({})", known.doc, known.sort)
            });
            let asked = Asked::BaseValue {
                key: answer.to_owned(),
            };
            reply.ask(Layer::Prompt(Prompt::new(
                asked,
                format!("{answer} for all cells"),
                doc,
                &shown,
            )));
        }
        Asked::AxisRename { key } => {
            apply(
                Edit::RenameAxis {
                    key,
                    to: answer.to_owned(),
                },
                desk,
                reply,
            );
        }
        Asked::Preset => {
            if desk.is_touched() {
                return reply.problem("save first: w, or take the changes back: u");
            }
            if let Some(preset) = preset::ALL.iter().find(|preset| preset.name == answer) {
                let path = PathBuf::from(format!("{}.toml", preset.name));
                let taken = path.exists();
                desk.begin(path, preset.text.to_owned());
                let said = if taken {
                    "; a file of this name exists, and w would replace it"
                } else {
                    "; w saves it"
                };
                reply.say(
                    Said::new(format!("{}{said}", preset.title))
                        .by(format!("siglab new {}", preset.name)),
                );
            }
        }
        Asked::File => {
            let path = PathBuf::from(answer);
            match std::fs::read_to_string(&path) {
                Ok(text) => desk.turn_to(path, Some(text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    desk.turn_to(path, None);
                    reply.say(Said::new("a new experiment; w saves it"));
                }
                Err(e) => reply.problem(format!("cannot read {answer}: {e}")),
            }
        }
        Asked::Conflict => {
            desk.settle(answer == super::about::OURS);
            reply.say(Said::new("settled; u brings the other one back, w saves"));
        }
        asked => match edits_of(&asked, answer, desk) {
            // All of them, or as many as can be made; the last one says its command.
            Ok(edits) => {
                edits.into_iter().all(|edit| apply(edit, desk, reply));
            }
            Err(problem) => reply.problem(problem),
        },
    }
}

/// Make a change and say the command that makes it; false when it was refused.
pub(super) fn apply(edit: Edit, desk: &mut Desk, reply: &mut Reply) -> bool {
    let words: Vec<String> = edit.to_string().split_whitespace().map(quoted).collect();
    let command = format!("siglab edit {} {}", desk.quoted_path(), words.join(" "));
    match desk.edit(edit) {
        Ok(()) => {
            reply.say(Said::new("").by(command));
            true
        }
        Err(e) => {
            reply.problem(e.to_string());
            false
        }
    }
}
