//! `siglab export`: what runs logged and evaluated, in full, for other programs. Which runs, which columns, where to.

mod place;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::ValueEnum;

use self::place::{Place, Staged};
use super::{DONE, parse_set, say, tell};
use crate::export::{Columns, CsvFile, Frame, Named, ParquetFile, tensorboard};
use crate::record::RunId;
use crate::spec::{Experiment, Schema, label, path};
use crate::store::{Run, Series};
use crate::workbench::Workbench;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings; every run of the workspace if none is given.
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// The runs of this experiment.
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    pub experiment: Option<PathBuf>,
    /// Set a key of the experiment's base settings.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set, requires = "experiment")]
    pub set: Vec<(String, String)>,
    /// csv or parquet: two tables, of logged rows and of evaluations; tensorboard: a directory a run [default: by the
    /// ending of PATH].
    #[arg(long, value_name = "FORMAT")]
    pub to: Option<To>,
    /// A directory for both tables, a file for one, or `-` to print one as CSV.
    #[arg(short, long, value_name = "PATH")]
    pub output: PathBuf,
    /// The table to write: rows where one file is asked for, else both.
    #[arg(long, value_name = "TABLE")]
    pub table: Option<Sheet>,
    /// A measurement to export; all of them if none is named.
    #[arg(long, value_name = "KEY")]
    pub metric: Vec<String>,
    /// Write over files that are there.
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    Csv,
    Parquet,
    Tensorboard,
}

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sheet {
    /// A line a logged step.
    Rows,
    /// A line an evaluation.
    Evaluations,
}

/// A command line that asks for what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("--to says neither csv, parquet nor tensorboard, and no ending of `{0}` does")]
    Format(String),
    #[error("`-` prints CSV: {0} has to go to a file")]
    Binary(&'static str),
    #[error("--table is of csv and parquet: tensorboard has both in one")]
    Table,
    #[error("{0} is there already; --force writes over it")]
    Exists(String),
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let (to, place) = destination(&args)?;
    let workbench = Workbench::survey(workspace)?;
    let store = workbench.store();
    let named = runs(&workbench, &args)?;
    if named.is_empty() {
        tell(format_args!("no runs in {}", workspace.display()));
        return Ok(super::FAILED);
    }
    let load = |id: &RunId| {
        let read = store.whole(id).map_err(|why| anyhow!("{why}"));
        read.with_context(|| format!("cannot read run {id}"))
    };
    let mut columns = Columns::of(&named);
    for run in &named {
        columns.take_in(&load(&run.id)?);
    }
    columns.keep(&args.metric)?;
    let export = Export {
        named: &named,
        columns: &columns,
        load: &load,
    };
    match to {
        To::Tensorboard => export.tensorboard(place, args.force),
        To::Csv | To::Parquet => export.sheets(to, args.table, place, args.force),
    }
}

/// What is written and where to, by the flags and the ending of the path.
fn destination(args: &Args) -> Result<(To, Place), ExportError> {
    let path = args.output.as_path();
    let ending = match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Some(To::Csv),
        Some("parquet") => Some(To::Parquet),
        _ => None,
    };
    let place = match path.to_str() {
        Some("-") => Place::Out,
        _ if ending.is_some() && !path.is_dir() => Place::File(path.to_owned()),
        _ => Place::Dir(path.to_owned()),
    };
    let to = match (args.to, &place) {
        (Some(to), _) => to,
        (None, Place::Out) => To::Csv,
        (None, _) => ending.ok_or_else(|| ExportError::Format(path.display().to_string()))?,
    };
    match (to, &place) {
        (To::Parquet, Place::Out) => Err(ExportError::Binary("Parquet")),
        (To::Tensorboard, Place::Out) => Err(ExportError::Binary("an event file")),
        (To::Tensorboard, _) if args.table.is_some() => Err(ExportError::Table),
        (To::Tensorboard, Place::File(path)) => Ok((to, Place::Dir(path.clone()))),
        _ => Ok((to, place)),
    }
}

/// The runs that are asked for, each with what tells it from the others: the axes of the experiment, the settings in which
/// they differ, and the seed.
fn runs(workbench: &Workbench, args: &Args) -> anyhow::Result<Vec<Named>> {
    let store = workbench.store();
    let mut keys: Vec<String> = Vec::new();
    let runs: Vec<&Run> = match &args.experiment {
        Some(file) => {
            let experiment = Experiment::load(file, &args.set)?;
            let grid = experiment.expand()?;
            keys.extend(experiment.axes.iter().flat_map(|axis| axis.keys.clone()));
            let specs = grid.runs().into_iter();
            specs.filter_map(|spec| store.get(&spec.id)).collect()
        }
        None if args.runs.is_empty() => store.runs().collect(),
        None => {
            let named = args.runs.iter().map(|prefix| workbench.find(prefix));
            let mut found: Vec<&Run> = named.collect::<Result<_, _>>()?;
            found.sort_by_key(|run| run.id());
            found.dedup_by_key(|run| run.id());
            found
        }
    };
    let schema = Schema::learn();
    let changes: Vec<path::Flat> = runs
        .iter()
        .map(|run| schema.changes(&run.spec.config))
        .collect();
    let told = label::distinguish(&schema, &changes.iter().collect::<Vec<_>>());
    for (key, _) in told.iter().flatten() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys.retain(|key| key != "seed");
    keys.push("seed".into());
    let name = |(run, changes): (&&Run, &path::Flat)| {
        let value = |key: &String| Some((key.clone(), schema.setting(changes, key)?.clone()));
        let settings: Vec<_> = keys.iter().filter_map(value).collect();
        Named {
            id: run.id().clone(),
            label: label::label(settings.iter().map(|(key, value)| (key.as_str(), value))),
            settings,
        }
    };
    Ok(runs.iter().zip(&changes).map(name).collect())
}

/// What is to be written; runs are read one after the other, and let go again.
struct Export<'e, L> {
    named: &'e [Named],
    columns: &'e Columns,
    load: &'e L,
}

impl<L: Fn(&RunId) -> anyhow::Result<Run>> Export<'_, L> {
    fn tensorboard(&self, place: Place, force: bool) -> anyhow::Result<u8> {
        let mut staged = Staged::begin(&place, force)?;
        for named in self.named {
            let run = (self.load)(&named.id)?;
            let name = Path::new(&tensorboard::directory(named)).join(tensorboard::file_name(&run));
            let file = staged.create(&name)?;
            let mut out = BufWriter::new(file);
            tensorboard::write(&mut out, named, &run, self.columns)
                .and_then(|()| out.into_inner().map_err(|e| e.into_error())?.sync_all())
                .with_context(|| format!("cannot write {}", name.display()))?;
        }
        self.told(staged.finish()?)
    }

    fn sheets(
        &self,
        to: To,
        sheet: Option<Sheet>,
        place: Place,
        force: bool,
    ) -> anyhow::Result<u8> {
        let ending = match to {
            To::Parquet => "parquet",
            To::Csv | To::Tensorboard => "csv",
        };
        let sheets = match (sheet, &place) {
            (Some(sheet), _) => vec![sheet],
            (None, Place::Dir(_)) => vec![Sheet::Rows, Sheet::Evaluations],
            (None, Place::File(_) | Place::Out) => vec![Sheet::Rows],
        };
        if let Place::Out = place {
            let mut out = say::Lines::default();
            let written = self.csv(sheets[0], &mut out).map(drop);
            let written = written.and_then(|()| Ok(out.flush()?));
            return say::unless_left(written).map(|()| DONE);
        }
        let mut staged = Staged::begin(&place, force)?;
        for sheet in sheets {
            let name = match &place {
                Place::File(path) => path.file_name().map(PathBuf::from).unwrap_or_default(),
                _ => PathBuf::from(format!("{}.{ending}", sheet.name())),
            };
            let file = BufWriter::new(staged.create(&name)?);
            let file: BufWriter<File> = match to {
                To::Parquet => self.parquet(sheet, file),
                To::Csv | To::Tensorboard => self.csv(sheet, file),
            }
            .with_context(|| format!("cannot write {}", name.display()))?;
            file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        }
        self.told(staged.finish()?)
    }

    fn told(&self, place: PathBuf) -> anyhow::Result<u8> {
        let (count, noun) = (
            self.named.len(),
            if self.named.len() == 1 { "run" } else { "runs" },
        );
        tell(format_args!("wrote {count} {noun} to {}", place.display()));
        Ok(DONE)
    }

    fn csv<W: Write>(&self, sheet: Sheet, out: W) -> anyhow::Result<W> {
        let mut file = CsvFile::begin(out, &self.heading(sheet))?;
        self.each(sheet, |frame| file.write(&frame))?;
        file.finish()
    }

    fn parquet<W: Write + Send>(&self, sheet: Sheet, out: W) -> anyhow::Result<W> {
        let runs: Vec<&str> = self.named.iter().map(|named| named.id.as_str()).collect();
        let about = [
            ("siglab", env!("CARGO_PKG_VERSION").to_owned()),
            ("runs", runs.join(" ")),
        ];
        let mut file = ParquetFile::begin(out, &self.heading(sheet), &about)?;
        self.each(sheet, |frame| file.write(&frame))?;
        file.finish()
    }

    /// The columns without a row.
    fn heading(&self, sheet: Sheet) -> Frame {
        let any = &self.named[0];
        match sheet {
            Sheet::Rows => self.columns.rows(any, &Series::default()).next(),
            Sheet::Evaluations => Some(self.columns.evaluations(any, &[])),
        }
        .unwrap_or_default()
    }

    fn each(
        &self,
        sheet: Sheet,
        mut write: impl FnMut(Frame) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for named in self.named {
            let run = (self.load)(&named.id)?;
            match sheet {
                Sheet::Rows => self
                    .columns
                    .rows(named, &run.series)
                    .try_for_each(&mut write)?,
                Sheet::Evaluations => write(self.columns.evaluations(named, &run.evaluations))?,
            }
        }
        Ok(())
    }
}

impl Sheet {
    fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Evaluations => "evaluations",
        }
    }
}
