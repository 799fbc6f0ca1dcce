//! `siglab report FILE…`: run what is missing of experiments and write one page about what came out.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::run as runs;
use super::{DONE, FAILED, INTERRUPTED, On, plot, print, tell};
use crate::analysis::{Figure, findings};
use crate::export::plot::{Medium, Size};
use crate::export::{Picture, Section, write_findings};
use crate::spec::{Experiment, Grid, ReportKind};
use crate::store::Store;
use crate::util::write_atomic;

/// The directory of figures beside the page.
const FIGURES: &str = "figures";

/// Run what is missing of experiments, and write a page of answers: verdicts, tables, figures, cost. A page that is there
/// keeps what it says of other experiments.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Experiment files, or directories of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// The page [default: README.md in the directory of the first].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write about what there is and start nothing.
    #[arg(long)]
    pub no_run: bool,
    #[command(flatten)]
    pub on: On,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let files = files(&args.paths)?;
    // All of them before the first one trains: a slip in the last file must not come to light after hours.
    let mut grids = Vec::with_capacity(files.len());
    for file in &files {
        let experiment = Experiment::load(file, &[])?;
        let grid = experiment.expand()?;
        grid.require_valid(&experiment)?;
        grids.push((experiment, grid));
    }
    let page = args.output.unwrap_or_else(|| beside(&files[0]));
    sections(&page)?;
    let mut stems = BTreeSet::new();
    if let Some(file) = files.iter().find(|file| !stems.insert(plot::stem(file))) {
        let name = plot::stem(file);
        bail!(
            "two experiments are called {name}, and a page tells them by their names: write a page for each with -o FILE"
        );
    }
    let mut code = DONE;
    for (file, (_, grid)) in files.iter().zip(&grids).filter(|_| !args.no_run) {
        tell(format_args!("{}", file.display()));
        let asked = runs::Args::of_file(file.clone(), args.on.clone());
        match runs::train(workspace, &asked, grid)?.0 {
            // What is done so far is worth a page; the rest comes with the next time.
            INTERRUPTED => {
                code = INTERRUPTED;
                break;
            }
            FAILED => code = FAILED,
            _ => {}
        }
    }
    let store = Store::open(workspace)?;
    let mut told = Vec::new();
    for (experiment, grid) in &grids {
        match found(experiment, grid, &store, &page) {
            Ok(section) => told.push(section),
            // One report that cannot be made must not take the other answers along.
            Err(error) => {
                tell(format_args!("error: {error:#}"));
                code = code.max(FAILED);
            }
        }
    }
    let text = write_findings(told, sections(&page)?);
    if page == Path::new("-") {
        print(&text)?;
    } else {
        write_atomic(&page, text.as_bytes())
            .with_context(|| format!("cannot write {}", page.display()))?;
        tell(format_args!("wrote {}", page.display()));
    }
    Ok(code)
}

/// What an experiment says for itself, and its figures, which are drawn beside the page.
fn found(
    experiment: &Experiment,
    grid: &Grid,
    store: &Store,
    page: &Path,
) -> anyhow::Result<Section> {
    let file = &experiment.path;
    let found = findings(experiment, grid, |spec| store.get(&spec.id))
        .with_context(|| format!("{}", file.display()))?;
    Ok(Section::of(
        &found,
        &pictures(experiment, grid, store, page)?,
    ))
}

/// The figures that the experiment asks for, drawn beside the page; none beside standard output.
fn pictures(
    experiment: &Experiment,
    grid: &Grid,
    store: &Store,
    page: &Path,
) -> anyhow::Result<Vec<Picture>> {
    let file = &experiment.path;
    let asked = experiment.asked(ReportKind::is_figure);
    if page == Path::new("-") || asked.is_empty() {
        return Ok(Vec::new());
    }
    let figures = match plot::draw(experiment, grid, &asked, store) {
        Ok(figures) => figures,
        // Where nothing is measured yet, the page says so in words.
        Err(error) => {
            tell(format_args!("no figures of {}: {error:#}", file.display()));
            return Ok(Vec::new());
        }
    };
    let beside = page.with_file_name(FIGURES);
    let stem = plot::stem(file);
    let names = plot::write_all(&beside, &stem, &figures, Size::One, Medium::Svg)?;
    let picture = |(name, figure): (String, &Figure)| Picture {
        path: format!("{FIGURES}/{name}"),
        caption: figure.name(),
    };
    Ok(names.into_iter().zip(&figures).map(picture).collect())
}

/// What the page says so far; nothing where there is none.
///
/// # Errors
/// A file that is no such page is somebody's own, and stays.
fn sections(page: &Path) -> anyhow::Result<Vec<Section>> {
    if page == Path::new("-") {
        return Ok(Vec::new());
    }
    let shown = page.display();
    match fs::read_to_string(page) {
        Ok(text) => Section::of_page(&text).with_context(|| {
            format!("{shown} was not written by `siglab report`: name another page with -o FILE")
        }),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).with_context(|| format!("cannot read {shown}")),
    }
}

/// Where the page goes if nobody says: the README of the experiments' directory.
fn beside(file: &Path) -> PathBuf {
    file.with_file_name("README.md")
}

/// Each file, and the experiments of each directory by name.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listed = fs::read_dir(path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<PathBuf> = listed
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        if inside.is_empty() {
            bail!("no experiment (*.toml) in {}", path.display());
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}
