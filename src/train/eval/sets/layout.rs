//! Which of the known layouts a path has, and what its files say of the data set.

use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::{EvalSet, SetConfig, Task};
use crate::train::data::{Files, FilesConfig, Format};
use crate::train::eval::templates;

/// CLIP_benchmark's names.
const SHARDS: &str = "nshards.txt";
const TYPE: &str = "dataset_type.txt";
const CLASSES: &str = "classnames.txt";
const TEMPLATES: &str = "zeroshot_classification_templates.txt";

/// # Errors
/// Files that are not there or not what they should be.
pub fn open(config: &SetConfig) -> anyhow::Result<EvalSet> {
    let path = Path::new(&config.path);
    let (root, test, train) = if path.is_dir() {
        let part = |name: &str| Some(path.join(name)).filter(|part| part.is_dir());
        let test = part("test").unwrap_or_else(|| path.to_owned());
        let train = part("train").map(|part| folder(config, path, &part));
        (Some(path), folder(config, path, &test)?, train.transpose()?)
    } else {
        (None, table(config, path)?, None)
    };
    let labels = (0..test.len()).filter_map(|at| test.label(at)).count() as u64;
    let is_retrieval = match root.map(kind).transpose()? {
        Some(Kind::Retrieval) => true,
        Some(Kind::Classification) => false,
        None => labels == 0,
    };
    let task = if is_retrieval {
        Task::Retrieve
    } else {
        ensure!(
            labels == test.len(),
            "{} of {} pictures have no class",
            test.len() - labels,
            test.len()
        );
        Task::Classify {
            classes: class_names(root, &test)?,
            templates: said_of_classes(config, root)?,
        }
    };
    if let Some(train) = &train {
        ensure!(
            train.classes() == test.classes(),
            "the classes of its train part are not those of its test part"
        );
    }
    Ok(EvalSet {
        name: config.name.clone(),
        test,
        train,
        task,
    })
}

fn wanted(config: &SetConfig, path: String) -> FilesConfig {
    FilesConfig {
        path,
        caption: config.caption.clone(),
        language: config.language.clone(),
        label: config.label.clone(),
        ..FilesConfig::default()
    }
}

/// One part of a data set below `root`: numbered shards, or a folder a class.
fn folder(config: &SetConfig, root: &Path, part: &Path) -> anyhow::Result<Files> {
    let count = part.join(SHARDS);
    if !count.exists() {
        return Ok(Files::open(
            Format::Folder,
            &wanted(config, part.display().to_string()),
            None,
        )?);
    }
    let shards = std::fs::read_to_string(&count)?;
    let shards: u32 = shards
        .trim()
        .parse()
        .ok()
        .filter(|n| *n > 0)
        .with_context(|| {
            format!(
                "{}: {:?} is no number of shards",
                count.display(),
                shards.trim()
            )
        })?;
    let mut wanted = wanted(
        config,
        format!("{}/{{0..{}}}.tar", part.display(), shards - 1),
    );
    if kind(root)? == Kind::Classification && wanted.caption.is_empty() {
        // A class is all that they say of a picture.
        wanted.caption = ";".into();
    }
    Ok(Files::open(Format::Webdataset, &wanted, None)?)
}

fn table(config: &SetConfig, path: &Path) -> anyhow::Result<Files> {
    let format = match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("csv" | "tsv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some("tar") => Format::Webdataset,
        _ => bail!("there is no such folder, and no .tar, .csv, .tsv or .parquet is meant"),
    };
    Ok(Files::open(
        format,
        &wanted(config, config.path.clone()),
        None,
    )?)
}

/// What the pictures of a folder are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Classification,
    Retrieval,
}

fn kind(root: &Path) -> anyhow::Result<Kind> {
    let file = root.join(TYPE);
    if !file.exists() {
        return Ok(Kind::Classification);
    }
    let said = std::fs::read_to_string(&file)?;
    match said.trim().to_lowercase().as_str() {
        "retrieval" => Ok(Kind::Retrieval),
        "classification" => Ok(Kind::Classification),
        other => bail!(
            "{}: {other:?} is neither classification nor retrieval",
            file.display()
        ),
    }
}

/// How prompts call the classes, by number: as a file of the data set says, or as their folders are called.
fn class_names(root: Option<&Path>, test: &Files) -> anyhow::Result<Vec<String>> {
    let file = root
        .map(|root| root.join(CLASSES))
        .filter(|file| file.exists());
    let Some(file) = file else {
        let names = test.classes().iter();
        return Ok(names.map(|name| name.replace('_', " ")).collect());
    };
    let text = std::fs::read_to_string(&file)?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let (said, there) = (names.len(), test.classes().len());
    ensure!(
        said == there,
        "{}: it names {said} classes, and there are {there}",
        file.display()
    );
    Ok(names)
}

fn said_of_classes(config: &SetConfig, root: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let own = root
        .map(|root| root.join(TEMPLATES))
        .filter(|file| file.exists());
    match (config.templates.as_str(), own) {
        ("", Some(file)) => templates::from_file(&file),
        ("", None) => templates::named("plain"),
        (name, _) => templates::named(name),
    }
}
