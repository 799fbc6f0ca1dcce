//! What a `[[report]]` asks for: a table or a figure, of which metric, along which axes, and how runs are compared.
//! What the answer is, `analysis` says.

use serde::Serialize;

use super::claim::{self, Conditions};

/// One table or figure that the file asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub title: Option<String>,
    pub kind: ReportKind,
    /// Positions in [`Experiment::axes`](super::Experiment::axes): down a table, or along a figure's x.
    pub rows: Option<usize>,
    /// Across a table, or the lines and bars of a figure.
    pub columns: Option<usize>,
    /// At least one; several for the stacked panels of curves.
    pub metrics: Vec<String>,
    pub at: Moment,
    pub interval: Interval,
    pub against: Against,
    /// What curves are drawn over.
    pub along: Along,
    /// Whether curves show each run by itself and mark its loss spikes, which a mean over seeds would level.
    pub spikes: bool,
    /// Those of the metrics that have a logarithmic axis.
    pub log: Vec<String>,
}

/// What a curve is drawn over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Along {
    /// Image-text pairs seen: runs of different batch sizes compare fairly.
    #[default]
    Examples,
    /// Updates.
    Steps,
    /// Seconds of training, over all attempts that stand; pauses between them do not count.
    Seconds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportKind {
    #[default]
    Table,
    /// What each axis does over the whole grid, and what pairs of them do together.
    Effects,
    /// Metrics over the course of training, with bands over seeds.
    Curves,
    /// A metric against the axis of the rows.
    Line,
    /// A bar with its interval for each cell.
    Bars,
}

/// When a run is asked for its metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Moment {
    #[default]
    End,
    /// At the evaluation that was best, which flatters every run by its luck.
    Best,
    /// When it had spent so much.
    Budget { of: Budget, amount: Amount },
}

/// What runs spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    Examples,
    /// Pairs of an image and a text that the loss took in: what matters where negatives are left out.
    Pairs,
    DeviceHours,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// The most that every completed run of the table has spent.
    Matched,
    Exactly(f64),
}

/// How the 95 % interval of a mean over seeds is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Student's t.
    #[default]
    T,
    Bootstrap,
}

/// What the cells of a table are compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Against {
    #[default]
    Best,
    /// The cell that has these values of axes; an axis that is not named is compared within.
    Baseline(Conditions),
}

impl Report {
    /// A table of `metric`.
    pub fn table(rows: Option<usize>, columns: Option<usize>, metric: &str) -> Self {
        Self {
            title: None,
            kind: ReportKind::Table,
            rows,
            columns,
            metrics: vec![metric.to_owned()],
            at: Moment::End,
            interval: Interval::T,
            against: Against::Best,
            along: Along::Examples,
            spikes: false,
            log: Vec::new(),
        }
    }

    /// What is wrong with a report that no file spells out.
    pub fn check(&self) -> Result<(), String> {
        let kind = self.kind.name();
        let along = matches!(self.kind, ReportKind::Line | ReportKind::Bars);
        if along && self.rows.is_none() {
            return Err(format!(
                "--kind {kind} takes --rows AXIS, which goes along the figure's x"
            ));
        }
        if self.rows.is_some() && self.rows == self.columns {
            return Err("--columns is the same axis as --rows".into());
        }
        if self.metrics.len() > 1 && self.kind != ReportKind::Curves {
            return Err(format!(
                "--kind {kind} takes one --metric; curves take several"
            ));
        }
        let flags = [
            ("rows", self.rows.is_some()),
            ("columns", self.columns.is_some()),
            ("along", self.along != Along::default()),
            ("spikes", self.spikes),
            ("log", !self.log.is_empty()),
        ];
        let known = |name: &str| self.kind.keys().contains(&name);
        if let Some((name, _)) = flags.iter().find(|(name, said)| *said && !known(name)) {
            return Err(format!("--{name} is no flag of --kind {kind}"));
        }
        match self.log.iter().find(|name| !self.metrics.contains(name)) {
            Some(name) => Err(format!("--log {name} is no --metric of this figure")),
            None => Ok(()),
        }
    }

    /// What it is of; the first of several.
    pub fn metric(&self) -> &str {
        &self.metrics[0]
    }
}

impl ReportKind {
    pub const ALL: [Self; 5] = [
        Self::Table,
        Self::Effects,
        Self::Curves,
        Self::Line,
        Self::Bars,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Effects => "effects",
            Self::Curves => "curves",
            Self::Line => "line",
            Self::Bars => "bars",
        }
    }

    /// Whether it is drawn.
    pub fn is_figure(self) -> bool {
        !matches!(self, Self::Table)
    }

    /// The keys that it has beside `kind`, `title` and `metric`.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Table => &["rows", "columns", "at", "interval", "against"],
            Self::Effects => &["at"],
            Self::Curves => &["columns", "along", "spikes", "log"],
            Self::Line => &["rows", "columns", "at", "interval", "log"],
            Self::Bars => &["rows", "columns", "at", "interval"],
        }
    }
}

impl Along {
    pub const ALL: [Self; 3] = [Self::Examples, Self::Steps, Self::Seconds];

    pub fn name(self) -> &'static str {
        match self {
            Self::Examples => "examples",
            Self::Steps => "steps",
            Self::Seconds => "seconds",
        }
    }
}

impl Budget {
    pub const ALL: [Self; 3] = [Self::Examples, Self::Pairs, Self::DeviceHours];

    pub fn name(self) -> &'static str {
        match self {
            Self::Examples => "examples",
            Self::Pairs => "pairs",
            Self::DeviceHours => "device_hours",
        }
    }
}

impl Interval {
    pub const ALL: [Self; 2] = [Self::T, Self::Bootstrap];

    pub fn name(self) -> &'static str {
        match self {
            Self::T => "t",
            Self::Bootstrap => "bootstrap",
        }
    }
}

impl Against {
    /// The baseline in words: `loss.kind = softmax and train.batch_size = 64`.
    pub fn label(&self) -> String {
        match self {
            Self::Best => "the best".into(),
            Self::Baseline(conditions) => {
                claim::words(conditions.iter().map(|(key, value)| (key.as_str(), value)))
            }
        }
    }
}
