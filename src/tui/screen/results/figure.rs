//! What the screen shows, drawn for a paper: the table as a line or as bars, or the effects.

use super::Results;
use crate::analysis::{Figure, figures, spikes::SpikeConfig};
use crate::export::plot::{Medium, Size, named, plot};
use crate::spec::{Experiment, Interval, Moment, Report, ReportKind};
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::effect::{Effect, quoted};
use crate::tui::layer::{Layer, Prompt};
use crate::tui::world::World;

impl Results {
    /// Ask where the figure goes, or the figures, where the report has several.
    pub(super) fn ask_figure(&self, desk: &Desk, world: &World, reply: &mut Reply) {
        match self.figures(desk, world) {
            Ok((figures, _)) => {
                let names = named(&desk.stem(), &figures);
                let (title, hint, name) = match &names[..] {
                    [(name, _)] => (
                        "Draw the figure to",
                        "A path that ends in .svg or .png; a file that is there is replaced.",
                        format!("{name}.svg"),
                    ),
                    _ => (
                        "Draw the figures into",
                        "A directory; they are named after the report.",
                        ".".into(),
                    ),
                };
                reply.ask(Layer::Prompt(Prompt::new(
                    Asked::FigurePath,
                    title,
                    hint,
                    &name,
                )));
            }
            Err(problem) => reply.problem(problem),
        }
    }

    pub(super) fn draw_figure(&self, path: &str, desk: &Desk, world: &World, reply: &mut Reply) {
        let drawn = self.figures(desk, world).and_then(|(figures, command)| {
            let names = named(&desk.stem(), &figures);
            let written = names.iter().map(|(name, figure)| {
                let (path, medium) = match &names[..] {
                    [_] => (path.into(), medium_of(path)?),
                    _ => {
                        let name = format!("{name}.{}", Medium::Svg.name());
                        (std::path::Path::new(path).join(name), Medium::Svg)
                    }
                };
                let bytes = plot(figure, Size::One, medium).map_err(|e| format!("{e:#}"))?;
                Ok(Effect::Export { path, bytes })
            });
            Ok((written.collect::<Result<Vec<_>, String>>()?, command))
        });
        match drawn {
            Ok((effects, command)) => {
                reply.effects.extend(effects);
                reply.say(Said::new("").by(format!("{command} -o {}", quoted(path))));
            }
            Err(problem) => reply.problem(problem),
        }
    }

    /// The figures of what is shown, and the command that draws them.
    fn figures(&self, desk: &Desk, world: &World) -> Result<(Vec<Figure>, String), String> {
        let (experiment, grid) = desk.grid()?;
        let (report, flags) = self.drawn(experiment)?;
        let found = figures(experiment, grid, &report, &SpikeConfig::default(), |spec| {
            world.run(&spec.id)
        });
        let command = format!("siglab plot {}{flags}", desk.quoted_path());
        Ok((found.map_err(|e| format!("{e:#}"))?, command))
    }

    /// The report to draw, and how flags ask for it: by its number, or as it was turned.
    fn drawn(&self, experiment: &Experiment) -> Result<(Report, String), String> {
        let shown = self.asked_for(experiment);
        let is_turned = self.rows.is_some() || self.columns.is_some() || self.metric.is_some();
        let own = self.number(experiment);
        if let Some(number) = own.filter(|_| !self.effects && !is_turned) {
            return Ok((experiment.drawn(shown), format!(" --report {number}")));
        }
        if (shown.at, shown.interval) != (Moment::End, Interval::T) {
            let problem = "a report that says `at` or `interval` is drawn as the file has it: put it there as you want it";
            return Err(problem.into());
        }
        let report = match self.effects {
            true => Report {
                kind: ReportKind::Effects,
                ..Report::table(None, None, shown.metric())
            },
            false => experiment.drawn(Report::table(shown.rows, shown.columns, shown.metric())),
        };
        let mut flags = format!(
            " --kind {} --metric {}",
            report.kind.name(),
            quoted(report.metric())
        );
        for (flag, axis) in [("rows", report.rows), ("columns", report.columns)] {
            if let Some(axis) = axis {
                flags += &format!(" --{flag} {}", quoted(&experiment.axes[axis].keys[0]));
            }
        }
        Ok((report, flags))
    }
}

fn medium_of(path: &str) -> Result<Medium, String> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending
        .parse()
        .map_err(|problem| format!("{path}: {problem} at the end of the name"))
}
