//! Everything that a key can do: one row an action, with its keys, where it holds, and its words. Key map, footer, help
//! and palette are this table. What an action does is the screens' affair.

use super::key::Key;

/// The screens.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum View {
    #[default]
    Design,
    Runs,
    Watch,
    Results,
}

impl View {
    pub const ALL: [Self; 4] = [Self::Design, Self::Runs, Self::Watch, Self::Results];

    pub fn name(self) -> &'static str {
        match self {
            Self::Design => "Design",
            Self::Runs => "Runs",
            Self::Watch => "Watch",
            Self::Results => "Results",
        }
    }
}

impl std::str::FromStr for View {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|view| view.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| "expected design, runs, watch or results".into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    Help,
    Palette,
    Back,
    Go(View),
    Suspend,
    Redraw,
    Mouse,
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    PageUp,
    PageDown,
    Focus,
    Open,
    Select,
    SelectAll,
    Filter,
    // Design
    AddAxis,
    AddBase,
    Remove,
    Rename,
    MoveUp,
    MoveDown,
    Zip,
    Unzip,
    Exclude,
    ExcludeLine,
    Seeds,
    Designs,
    Undo,
    Redo,
    Save,
    Editor,
    Toml,
    Preset,
    OpenFile,
    Launch,
    // Runs
    Pause,
    Resume,
    Stop,
    Retry,
    Raise,
    Lower,
    Log,
    Diff,
    Sort,
    SortBack,
    Group,
    Scope,
    // Watch
    LogY,
    Smooth,
    Along,
    ZoomIn,
    ZoomOut,
    Whole,
    PanLeft,
    PanRight,
    NextSpike,
    LastSpike,
    Panels,
    Maximise,
    // Results
    Metric,
    Rows,
    Columns,
    NextReport,
    LastReport,
    Effects,
    Export,
    Figure,
}

/// One action: its keys, the screens that it holds on (none: all of them), and its words.
pub struct Binding {
    pub action: Action,
    pub keys: &'static [&'static str],
    pub views: &'static [View],
    /// For the footer; empty for what everybody tries anyway.
    pub brief: &'static str,
    pub help: &'static str,
}

impl Action {
    /// The command line that does the same; none for what only moves about on a screen, which `--keys` repeats.
    pub fn command(self) -> Option<&'static str> {
        Some(match self {
            Self::Launch => "siglab run FILE --detach",
            Self::AddAxis => "siglab edit FILE axis add KEY VALUES",
            Self::AddBase => "siglab edit FILE base set KEY=VALUE",
            Self::Rename => "siglab edit FILE axis rename KEY KEY",
            Self::MoveUp => "siglab edit FILE axis up KEY",
            Self::MoveDown => "siglab edit FILE axis down KEY",
            Self::Remove => "siglab edit FILE axis remove KEY",
            Self::Zip => "siglab edit FILE zip KEY KEY",
            Self::Unzip => "siglab edit FILE unzip KEY",
            Self::Exclude | Self::ExcludeLine => "siglab edit FILE exclude add KEY=VALUE..",
            Self::Seeds => "siglab edit FILE seeds COUNT",
            Self::Designs => "siglab edit FILE design KIND",
            Self::Preset => "siglab new PRESET",
            Self::Editor => "$EDITOR FILE",
            Self::Go(View::Design) => "siglab plan FILE",
            Self::Go(View::Runs) => "siglab ls",
            Self::Go(View::Watch) => "siglab --view watch",
            Self::Go(View::Results) => "siglab table FILE",
            Self::Filter => "siglab ls --where QUERY",
            Self::Scope => "siglab ls FILE",
            Self::Pause => "siglab pause RUN..",
            Self::Resume => "siglab resume RUN..",
            Self::Stop => "siglab stop RUN..",
            Self::Retry => "siglab retry RUN..",
            Self::Raise | Self::Lower => "siglab priority N RUN..",
            Self::Log => "siglab logs RUN",
            Self::Diff => "siglab diff RUN RUN",
            Self::NextSpike | Self::LastSpike => "siglab spikes RUN",
            Self::Metric => "siglab table FILE --metric KEY",
            Self::Rows => "siglab table FILE --rows KEY",
            Self::Columns => "siglab table FILE --columns KEY",
            Self::Effects => "siglab table FILE --effects",
            Self::Export => "siglab table FILE --format FORMAT -o PATH",
            Self::Figure => "siglab plot FILE -o PATH",
            Self::Mouse => "siglab --no-mouse",
            _ => return None,
        })
    }
}

const EVERYWHERE: &[View] = &[];
const DESIGN: &[View] = &[View::Design];
const RUNS: &[View] = &[View::Runs];
const WATCH: &[View] = &[View::Watch];
const RESULTS: &[View] = &[View::Results];

const fn row(
    action: Action,
    keys: &'static [&'static str],
    views: &'static [View],
    brief: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        action,
        keys,
        views,
        brief,
        help,
    }
}

/// The table. Rows of one screen come before those of all, so that its footer begins with what is its own.
pub const BINDINGS: &[Binding] = &[
    row(
        Action::Launch,
        &["L"],
        DESIGN,
        "launch",
        "Train what has no result yet, in the background, after one question",
    ),
    row(
        Action::AddAxis,
        &["a"],
        DESIGN,
        "axis",
        "Add an axis: pick a setting, enter its values",
    ),
    row(
        Action::Open,
        &["Enter"],
        DESIGN,
        "edit",
        "Edit what is under the cursor; on a cell of the matrix: show all about it",
    ),
    row(
        Action::Exclude,
        &["x"],
        DESIGN,
        "exclude",
        "Leave the cell under the cursor out of the grid, or take it back in",
    ),
    row(
        Action::ExcludeLine,
        &["X"],
        DESIGN,
        "",
        "Leave the whole row of the matrix out, or take it back in",
    ),
    row(
        Action::Seeds,
        &["s"],
        DESIGN,
        "seeds",
        "Set the seeds: a count, or a list of them",
    ),
    row(
        Action::Designs,
        &["D"],
        DESIGN,
        "design",
        "Choose cells: full, one-factor, fractional, random, latin-hypercube",
    ),
    row(
        Action::AddBase,
        &["b"],
        DESIGN,
        "base",
        "Set a setting that all cells share",
    ),
    row(
        Action::Remove,
        &["d", "Delete"],
        DESIGN,
        "remove",
        "Remove what is under the cursor",
    ),
    row(
        Action::Rename,
        &["r"],
        DESIGN,
        "",
        "Give the axis under the cursor another setting, keeping its values",
    ),
    row(
        Action::MoveUp,
        &["K"],
        DESIGN,
        "",
        "Move the axis up; the last axis varies fastest and has the columns",
    ),
    row(Action::MoveDown, &["J"], DESIGN, "", "Move the axis down"),
    row(
        Action::Zip,
        &["z"],
        DESIGN,
        "zip",
        "Let the axis and the one below it move together",
    ),
    row(
        Action::Unzip,
        &["Z"],
        DESIGN,
        "",
        "Let the keys of a zip be axes of their own again",
    ),
    row(
        Action::Undo,
        &["u"],
        DESIGN,
        "undo",
        "Take the last change back",
    ),
    row(Action::Redo, &["C-r"], DESIGN, "", "Make it again"),
    row(
        Action::Save,
        &["w", "C-s"],
        DESIGN,
        "save",
        "Write the file; comments and order stay as they are",
    ),
    row(
        Action::Editor,
        &["e"],
        DESIGN,
        "editor",
        "Edit the file in $EDITOR, and come back with what was written",
    ),
    row(
        Action::Toml,
        &["t"],
        DESIGN,
        "toml",
        "Show the file in place of the matrix",
    ),
    row(
        Action::Preset,
        &["p"],
        DESIGN,
        "presets",
        "Begin with one of the paper's ablations",
    ),
    row(
        Action::OpenFile,
        &["o"],
        DESIGN,
        "",
        "Open another experiment file",
    ),
    row(
        Action::Open,
        &["Enter"],
        RUNS,
        "watch",
        "Watch the curves of the selected runs, or of the one under the cursor",
    ),
    row(
        Action::Filter,
        &["/"],
        RUNS,
        "filter",
        "Show runs that fit: state=running top1<0.3 loss.kind=sigmoid -seed=0 words",
    ),
    row(
        Action::Select,
        &["Space"],
        RUNS,
        "select",
        "Select the run, or let it go",
    ),
    row(
        Action::SelectAll,
        &["*"],
        RUNS,
        "",
        "Select all runs that are shown, or none",
    ),
    row(
        Action::Pause,
        &["p"],
        RUNS,
        "pause",
        "Hold runs back at a checkpoint; their place goes to others",
    ),
    row(
        Action::Resume,
        &["r"],
        RUNS,
        "resume",
        "Let runs that were paused or stopped go on",
    ),
    row(
        Action::Stop,
        &["x"],
        RUNS,
        "stop",
        "Stop runs at a checkpoint, until they are resumed or retried",
    ),
    row(
        Action::Retry,
        &["R"],
        RUNS,
        "retry",
        "Let runs that failed, diverged or were stopped go again",
    ),
    row(
        Action::Raise,
        &["+"],
        RUNS,
        "",
        "Raise the priority: start before the others",
    ),
    row(Action::Lower, &["-"], RUNS, "", "Lower the priority"),
    row(
        Action::Log,
        &["o"],
        RUNS,
        "log",
        "Show the worker's log beside the list",
    ),
    row(
        Action::Diff,
        &["d"],
        RUNS,
        "diff",
        "Show what tells two selected runs apart, or the selected one and the one under the cursor",
    ),
    row(
        Action::Sort,
        &["s"],
        RUNS,
        "sort",
        "Sort by the next column",
    ),
    row(Action::SortBack, &["S"], RUNS, "", "Turn the order round"),
    row(
        Action::Group,
        &["b"],
        RUNS,
        "group",
        "Group by the next axis of the experiment, or not at all",
    ),
    row(
        Action::Scope,
        &["w"],
        RUNS,
        "scope",
        "Show the runs of the experiment, or all of the workspace",
    ),
    row(
        Action::NextSpike,
        &["n"],
        WATCH,
        "spike",
        "Go to the next spike",
    ),
    row(
        Action::LastSpike,
        &["N"],
        WATCH,
        "",
        "Go to the spike before",
    ),
    row(
        Action::LogY,
        &["y"],
        WATCH,
        "log y",
        "Draw the panel on a logarithmic scale, or on a linear one",
    ),
    row(
        Action::Smooth,
        &["s"],
        WATCH,
        "smooth",
        "Draw a moving average over the raw line, wider with each press, then none",
    ),
    row(
        Action::Group,
        &["b"],
        WATCH,
        "group",
        "Draw the mean and 95 % interval over seeds, or each run",
    ),
    row(
        Action::Along,
        &["t"],
        WATCH,
        "x",
        "Draw over examples seen, steps, or time",
    ),
    row(
        Action::ZoomIn,
        &["+", "="],
        WATCH,
        "zoom",
        "Zoom in about the cursor",
    ),
    row(Action::ZoomOut, &["-"], WATCH, "", "Zoom out"),
    row(Action::Whole, &["0"], WATCH, "", "Show the whole range"),
    row(
        Action::PanLeft,
        &["H", "PgUp"],
        WATCH,
        "",
        "Go back by half a screen",
    ),
    row(
        Action::PanRight,
        &["L", "PgDn"],
        WATCH,
        "",
        "Go on by half a screen",
    ),
    row(
        Action::Panels,
        &["p"],
        WATCH,
        "panels",
        "Choose the curves to show: any metric that some run logs",
    ),
    row(
        Action::Maximise,
        &["m", "Enter"],
        WATCH,
        "maximise",
        "Give one panel all the room, or share it again",
    ),
    row(
        Action::Select,
        &["Space"],
        WATCH,
        "",
        "Hide the run under the legend's cursor, or show it",
    ),
    row(
        Action::Log,
        &["o"],
        WATCH,
        "log",
        "Show the worker's log beside the curves",
    ),
    row(
        Action::Filter,
        &["/"],
        WATCH,
        "runs",
        "Choose the runs to draw by a query",
    ),
    row(
        Action::Metric,
        &["m"],
        RESULTS,
        "metric",
        "Show another measurement",
    ),
    row(
        Action::Rows,
        &["r"],
        RESULTS,
        "rows",
        "Put the next axis into the rows",
    ),
    row(
        Action::Columns,
        &["c"],
        RESULTS,
        "columns",
        "Put the next axis into the columns",
    ),
    row(
        Action::NextReport,
        &["n"],
        RESULTS,
        "report",
        "Show the next report of the file",
    ),
    row(
        Action::LastReport,
        &["N"],
        RESULTS,
        "",
        "Show the report before",
    ),
    row(
        Action::Effects,
        &["f"],
        RESULTS,
        "effects",
        "Show what each axis does by itself, and pairs of them together",
    ),
    row(
        Action::Export,
        &["x"],
        RESULTS,
        "export",
        "Write the table to a file: text, Markdown, LaTeX, HTML, CSV, JSON or Parquet",
    ),
    row(
        Action::Figure,
        &["X"],
        RESULTS,
        "",
        "Draw what is shown as a figure for a paper, SVG or PNG",
    ),
    row(
        Action::Open,
        &["Enter"],
        RESULTS,
        "watch",
        "Watch the runs of the cell under the cursor",
    ),
    row(
        Action::Go(View::Design),
        &["1"],
        EVERYWHERE,
        "",
        "Design the grid",
    ),
    row(
        Action::Go(View::Runs),
        &["2"],
        EVERYWHERE,
        "",
        "List the runs",
    ),
    row(
        Action::Go(View::Watch),
        &["3"],
        EVERYWHERE,
        "",
        "Watch curves",
    ),
    row(
        Action::Go(View::Results),
        &["4"],
        EVERYWHERE,
        "",
        "Read the answer",
    ),
    row(
        Action::Focus,
        &["Tab", "S-Tab"],
        EVERYWHERE,
        "",
        "Go to the other part of the screen",
    ),
    row(Action::Up, &["k", "Up"], EVERYWHERE, "", "Up"),
    row(Action::Down, &["j", "Down"], EVERYWHERE, "", "Down"),
    row(Action::Left, &["h", "Left"], EVERYWHERE, "", "Left"),
    row(Action::Right, &["l", "Right"], EVERYWHERE, "", "Right"),
    row(Action::Top, &["g", "Home"], EVERYWHERE, "", "To the first"),
    row(Action::Bottom, &["G", "End"], EVERYWHERE, "", "To the last"),
    row(
        Action::PageUp,
        &["PgUp", "C-u"],
        EVERYWHERE,
        "",
        "Up by a screen",
    ),
    row(
        Action::PageDown,
        &["PgDn", "C-d"],
        EVERYWHERE,
        "",
        "Down by a screen",
    ),
    row(
        Action::Back,
        &["Esc"],
        EVERYWHERE,
        "",
        "Leave the innermost thing that is open: a dialog, a filter, a zoom, a selection",
    ),
    row(
        Action::Palette,
        &[":"],
        EVERYWHERE,
        "",
        "Find an action by its words",
    ),
    row(
        Action::Help,
        &["?", "F1"],
        EVERYWHERE,
        "help",
        "Show the keys of this screen",
    ),
    row(
        Action::Mouse,
        &["M"],
        EVERYWHERE,
        "",
        "Turn the mouse off, so that the terminal selects text, or on",
    ),
    row(
        Action::Redraw,
        &["C-l"],
        EVERYWHERE,
        "",
        "Draw the screen anew",
    ),
    row(
        Action::Suspend,
        &["C-z"],
        EVERYWHERE,
        "",
        "Go to the shell; `fg` comes back",
    ),
    row(
        Action::Quit,
        &["q", "C-c"],
        EVERYWHERE,
        "quit",
        "Leave; workers and schedulers go on",
    ),
];

/// The actions that hold on `view`, in the order of the table.
pub fn on(view: View) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |row| row.views.is_empty() || row.views.contains(&view))
}

/// What `key` does on `view`: its own meaning there before the general one.
pub fn of_key(view: View, key: Key) -> Option<Action> {
    let has = |row: &&Binding| row.keys.iter().any(|name| Key::named(name) == Some(key));
    on(view).find(has).map(|row| row.action)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_one_and_means_one_thing_on_each_screen() {
        for row in BINDINGS {
            for name in row.keys {
                assert!(Key::named(name).is_some(), "{name}");
            }
        }
        for view in View::ALL {
            let own = |general: bool| {
                let rows = on(view).filter(move |row| row.views.is_empty() == general);
                rows.flat_map(|row| row.keys.iter().copied())
                    .collect::<Vec<_>>()
            };
            for keys in [own(false), own(true)] {
                let distinct: BTreeSet<&str> = keys.iter().copied().collect();
                assert_eq!(distinct.len(), keys.len(), "{view:?}: {keys:?}");
            }
        }
    }

    #[test]
    fn a_screens_own_meaning_comes_first() {
        let key = |name| Key::named(name).unwrap();
        assert_eq!(of_key(View::Watch, key("PgUp")), Some(Action::PanLeft));
        assert_eq!(of_key(View::Runs, key("PgUp")), Some(Action::PageUp));
        assert_eq!(of_key(View::Runs, key("L")), None);
    }
}
