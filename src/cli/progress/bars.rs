//! Progress for a terminal: a bar for each run at work, one for the grid, and above them a line for each end. The
//! figures stand first in columns of fixed width; the label takes what the terminal has left.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Progress, Scene, Tally, sentence};
use crate::cli::say::park_cursor;
use crate::cli::tell;
use crate::record::RunId;
use crate::store::Run;
use crate::util::{human_count, human_duration, printable_lines};
use crate::workbench::{Notice, Standing, Turn, standing};

/// A bar counts thousandths of its budget.
const FULL: u64 = 1_000;
/// A run's bar, percentage and figures: 55 columns, so that 80 leave 25 for the label.
const RUN: &str = "{bar:8} {percent:>3}%  {prefix}  {wide_msg}";
const GRID: &str = "{bar:8} {percent:>3}%  {wide_msg}";

pub struct Bars {
    screen: MultiProgress,
    whole: ProgressBar,
    runs: BTreeMap<RunId, ProgressBar>,
}

impl Bars {
    pub fn new() -> Self {
        let screen = MultiProgress::new();
        let whole = ProgressBar::new(FULL).with_style(style(GRID));
        Self {
            whole: screen.add(whole),
            screen,
            runs: BTreeMap::new(),
        }
    }

    fn draw(&mut self, scene: &Scene, run: &Run) {
        let bar = self.runs.entry(run.id().clone()).or_insert_with(|| {
            let bar = ProgressBar::new(FULL).with_style(style(RUN));
            let bar = self.screen.insert_before(&self.whole, bar);
            bar.set_message(scene.brief(run.id()).to_owned());
            bar
        });
        bar.set_position((run.progress() * FULL as f64) as u64);
        bar.set_prefix(figures(run));
    }
}

impl Progress for Bars {
    fn turn(&mut self, scene: &Scene, turn: &Turn) -> anyhow::Result<()> {
        for notice in turn
            .notices
            .iter()
            .filter(|notice| !matches!(notice, Notice::Started { .. }))
        {
            if let Some(line) = sentence(scene, notice) {
                self.say(&line)?;
            }
        }
        for named in scene.runs {
            let running = standing(&scene.view, &named.id) == Some(Standing::Running);
            match scene.store.get(&named.id).filter(|_| running) {
                Some(run) => self.draw(scene, run),
                None => {
                    if let Some(bar) = self.runs.remove(&named.id) {
                        bar.finish_and_clear();
                        self.screen.remove(&bar);
                    }
                }
            }
        }
        let tally = Tally::of(scene);
        self.whole.set_position((whole(scene) * FULL as f64) as u64);
        self.whole.set_message(grid_figures(&tally));
        Ok(park_cursor()?)
    }

    fn say(&mut self, message: &str) -> anyhow::Result<()> {
        if self.whole.is_finished() {
            tell(message);
            return Ok(());
        }
        self.screen.println(printable_lines(message))?;
        Ok(park_cursor()?)
    }

    fn end(&mut self, scene: &Scene) -> anyhow::Result<()> {
        for bar in self.runs.values().chain([&self.whole]) {
            bar.finish_and_clear();
        }
        tell(Tally::of(scene));
        Ok(())
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("a template of ours")
        .progress_chars("=> ")
}

/// The part of the grid's budget that was seen, finished runs included.
fn whole(scene: &Scene) -> f64 {
    let runs = || {
        scene
            .runs
            .iter()
            .filter_map(|named| scene.store.get(&named.id))
    };
    let weight = |run: &Run| run.spec.config.examples() as f64;
    let seen: f64 = runs()
        .map(|run| {
            if run.state.is_over() {
                weight(run)
            } else {
                run.progress() * weight(run)
            }
        })
        .sum();
    seen / runs().map(weight).sum::<f64>().max(1.0)
}

/// `1m05s left  31.2 %  loss 2.310  12.3k/s`, in columns: what people look for first comes first.
fn figures(run: &Run) -> String {
    let speed = run.speed();
    let left = speed.and_then(|speed| {
        let examples = run.spec.config.examples().saturating_sub(run.examples);
        Duration::try_from_secs_f64(examples as f64 / speed).ok()
    });
    columns(left, run.top1(), run.latest("loss"), speed)
}

fn columns(
    left: Option<Duration>,
    top1: Option<f64>,
    loss: Option<f64>,
    speed: Option<f64>,
) -> String {
    let left = left.map_or("starting".into(), |left| {
        format!("{} left", human_duration(left))
    });
    let top1 = top1.map_or(String::new(), |top1| format!("{:.1} %", 100.0 * top1));
    let loss = loss.map_or(String::new(), |loss| format!("loss {loss:.3}"));
    let speed = speed.map_or(String::new(), |speed| format!("{}/s", human_count(speed)));
    format!("{left:>11} {top1:>7} {loss:>10} {speed:>7}")
}

/// `12m05s left  3/12 done, 2 running, 7 waiting  1.50k/s`: a narrow terminal cuts the end off.
fn grid_figures(tally: &Tally) -> String {
    let left = tally
        .time_left()
        .map(|left| format!("{} left", human_duration(left)));
    let speed = (tally.examples_per_second > 0.0)
        .then(|| format!("{}/s", human_count(tally.examples_per_second)));
    let parts = [left, Some(tally.counts()), speed];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an 80-column terminal, what a label needs to tell runs apart.
    const LABEL: usize = 24;

    #[test]
    fn eighty_columns_hold_every_figure_and_a_label() {
        let widest = columns(
            Some(Duration::from_secs(59 * 60 + 59)),
            Some(1.0),
            Some(12.345),
            Some(99_900.0),
        );
        assert_eq!(widest, "59m59s left 100.0 % loss 12.345 99.9k/s");
        let bar_and_percentage = 8 + 1 + 4 + 2;
        let used = bar_and_percentage + widest.chars().count() + 2;
        assert!(used + LABEL <= 80, "{used} columns");
        let fresh = columns(None, None, None, None);
        assert_eq!(fresh.trim_end(), "   starting");
        assert!(fresh.chars().count() <= widest.chars().count());
    }

    #[test]
    fn the_time_left_of_a_grid_comes_first() {
        let tally = Tally {
            done: 3,
            running: 2,
            waiting: 7,
            examples_per_second: 1_500.0,
            examples_wanted: 90_000,
            ..Tally::default()
        };
        assert_eq!(
            grid_figures(&tally),
            "1m00s left  3/12 done, 2 running, 7 waiting  1.50k/s"
        );
    }
}
