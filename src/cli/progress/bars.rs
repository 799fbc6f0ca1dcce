//! Progress for a terminal: a bar for each run at work, one for the grid, and above them a line for each end.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Progress, Scene, Tally, measures, sentence};
use crate::record::RunId;
use crate::store::Run;
use crate::util::{human_count, human_duration};
use crate::workbench::{Notice, Standing, Turn, standing};

/// A bar counts thousandths of its budget.
const FULL: u64 = 1_000;
/// The widest label that leaves room for the figures.
const WIDEST_LABEL: usize = 40;

pub struct Bars {
    screen: MultiProgress,
    whole: ProgressBar,
    runs: BTreeMap<RunId, ProgressBar>,
    label_width: usize,
}

impl Bars {
    pub fn new(label_width: usize) -> Self {
        let screen = MultiProgress::new();
        let whole = ProgressBar::new(FULL).with_style(style("{bar:24} {percent:>3}%  {wide_msg}"));
        Self {
            whole: screen.add(whole),
            screen,
            runs: BTreeMap::new(),
            label_width: label_width.min(WIDEST_LABEL),
        }
    }

    fn draw(&mut self, scene: &Scene, run: &Run) {
        let bar = self.runs.entry(run.id().clone()).or_insert_with(|| {
            let template = format!(
                "{{prefix:{}!}}  {{bar:16}} {{percent:>3}}%  {{wide_msg}}",
                self.label_width
            );
            let bar = ProgressBar::new(FULL).with_style(style(&template));
            let bar = self.screen.insert_before(&self.whole, bar);
            bar.set_prefix(scene.label(run.id()).to_owned());
            bar
        });
        bar.set_position((run.progress() * FULL as f64) as u64);
        bar.set_message(figures(run));
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
        self.whole.set_message(tally.to_string());
        Ok(())
    }

    fn say(&mut self, message: &str) -> anyhow::Result<()> {
        if self.whole.is_finished() {
            eprintln!("{message}");
            return Ok(());
        }
        Ok(self.screen.println(message)?)
    }

    fn end(&mut self, scene: &Scene) -> anyhow::Result<()> {
        for bar in self.runs.values().chain([&self.whole]) {
            bar.finish_and_clear();
        }
        eprintln!("{}", Tally::of(scene));
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
    let weight = |run: &Run| run.spec.config.train.examples as f64;
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

/// `420/s  loss 2.310  top-1 31.2 %  1m05s left`.
fn figures(run: &Run) -> String {
    let Some(speed) = run.speed() else {
        return "starting".into();
    };
    let left = run.spec.config.train.examples.saturating_sub(run.examples) as f64 / speed;
    let left = Duration::try_from_secs_f64(left).map_or(String::new(), |left| {
        format!("  {} left", human_duration(left))
    });
    format!("{}/s  {}{left}", human_count(speed), measures(run))
}
