//! `siglab [FILE]`: the screens on a terminal. Where there is none, the plain tables and an end; with `--print`, one
//! screen as text after some keys, which is how a view is repeated by a command line.

use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{DONE, USAGE, ls, plan, print, table, tell};
use crate::tui::action::View;
use crate::tui::key::Key;
use crate::tui::theme::Theme;
use crate::tui::{self, Options, Preferences, Session, memory, picture};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment to open [default: the one of the last time, or the quickstart].
    pub file: Option<PathBuf>,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// Begin on this screen: design, runs, watch or results.
    #[arg(long, value_name = "SCREEN")]
    pub view: Option<View>,
    /// Runs to watch, by the beginnings of their ids.
    #[arg(long, value_name = "RUN", value_delimiter = ',')]
    pub runs: Vec<String>,
    #[command(flatten)]
    pub on: super::On,
    /// Draw with ASCII alone.
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal, which then selects text.
    #[arg(long)]
    pub no_mouse: bool,
    /// Press these keys first: characters, and names as in <Enter>, <C-r>, <Esc>.
    #[arg(long, value_name = "KEYS", default_value = "")]
    pub keys: String,
    /// Print the screen as text and leave.
    #[arg(long)]
    pub print: bool,
    /// Columns and rows of what is printed.
    #[arg(long, value_name = "WxH", default_value = "160x48", value_parser = parse_size)]
    pub size: (u16, u16),
    /// Draw the screen into this SVG file and leave.
    #[arg(long, value_name = "FILE", hide = true)]
    pub picture: Option<PathBuf>,
}

impl Args {
    /// What was said of the screens, where a verb was given and they are not opened.
    pub fn stray(&self) -> Option<&'static str> {
        let said = [
            (self.file.is_some(), "FILE"),
            (!self.set.is_empty(), "--set"),
            (self.view.is_some(), "--view"),
            (!self.runs.is_empty(), "--runs"),
            (self.on.devices() != ["cpu"], "--device"),
            (self.on.jobs.is_some(), "--jobs"),
            (self.on.jobs_per_device.is_some(), "--jobs-per-device"),
            (self.ascii, "--ascii"),
            (self.no_mouse, "--no-mouse"),
            (!self.keys.is_empty(), "--keys"),
            (self.print, "--print"),
        ];
        said.iter().find(|(said, _)| *said).map(|(_, name)| *name)
    }
}

/// A FILE that is neither there nor called like one.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is neither a verb nor a file; `siglab help` lists the verbs, and a new experiment's name ends in .toml"
)]
pub struct NoFile(String);

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    if let Some(file) = &args.file
        && !file.exists()
        && file.extension().is_none_or(|ending| ending != "toml")
    {
        return Err(NoFile(crate::util::printable(&file.display().to_string())).into());
    }
    let keys = match Key::parse_all(&args.keys) {
        Ok(keys) => keys,
        Err(problem) => {
            tell(format_args!("error: --keys: {problem}"));
            return Ok(USAGE);
        }
    };
    let environment = |name: &str| std::env::var(name).ok();
    let dumb = environment("TERM").as_deref() == Some("dumb");
    let once = args.print || args.picture.is_some();
    if !once && (dumb || !stdin().is_terminal() || !stdout().is_terminal()) {
        return plain(workspace, args);
    }
    let mut preferences = Preferences::load()?;
    preferences.mouse &= !args.no_mouse;
    let options = Options {
        workspace: workspace.to_owned(),
        file: args.file,
        sets: args.set,
        view: args.view,
        runs: args.runs,
        jobs: args.on.at_a_time(),
        devices: args.on.devices(),
        theme: Theme::of_environment(args.ascii || preferences.ascii, environment),
        preferences,
        // What is printed is told by its flags alone.
        memory: if once { None } else { memory::place(workspace) },
    };
    if !once {
        return tui::run(options, &keys);
    }
    let mut session = Session::open(options, || ())?;
    session.read_all()?;
    session.press(&keys)?;
    session.read_all()?;
    let screen = session.picture(args.size.0, args.size.1);
    match args.picture {
        Some(path) => std::fs::write(&path, picture::svg(&screen))
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print(&picture::text(&screen))?,
    }
    Ok(DONE)
}

/// What the screens show, as tables, for a pipe or a terminal that cannot be drawn on.
fn plain(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let Args {
        file, set, view, ..
    } = args;
    match (view, file) {
        (Some(View::Design), Some(file)) => plan::run(workspace, plan::Args::of_file(file, set)),
        (None | Some(View::Results), Some(file)) => {
            table::run(workspace, table::Args::of_file(file, set))
        }
        (_, file) => ls::run(workspace, ls::Args::of_file(file, set)),
    }
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once(['x', 'X']);
    let size = parts.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    size.filter(|&(width, height): &(u16, u16)| {
        width > 0 && height > 0 && width <= 1000 && height <= 1000
    })
    .ok_or_else(|| "expected WxH, such as 80x24".into())
}
