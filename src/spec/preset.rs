//! Experiments that come with the programme: the quickstart, and the paper's ablations scaled to the built-in data. They
//! are files like any other, in `experiments/`, and are begun with, not read from here.

/// The first thing that anybody runs.
pub const QUICKSTART: &str = include_str!("../../experiments/quickstart.toml");

/// A new experiment before anything is said.
pub const EMPTY: &str =
    "question = \"\"\n\n[base]\ndata.kind = \"shapes\"\n\n[axes]\n\n[seeds]\ncount = 3\n";

/// An ablation to begin with.
#[derive(Debug)]
pub struct Preset {
    pub name: &'static str,
    /// Where in SigLIP (arXiv 2303.15343) it stands.
    pub title: &'static str,
    pub text: &'static str,
}

impl Preset {
    /// What its file begins with: the question, and how it was scaled.
    pub fn about(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#'));
        comment.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

const fn preset(name: &'static str, title: &'static str, text: &'static str) -> Preset {
    Preset { name, title, text }
}

pub const ALL: [Preset; 7] = [
    preset(
        "table1",
        "Table 1: a pretrained tower, locked or not",
        include_str!("../../experiments/presets/table1.toml"),
    ),
    preset(
        "table4",
        "Table 4: the bias and the temperature",
        include_str!("../../experiments/presets/table4.toml"),
    ),
    preset(
        "table5",
        "Table 5: sigmoid and softmax over batch sizes",
        include_str!("../../experiments/presets/table5.toml"),
    ),
    preset(
        "fig4",
        "Figure 4: weight decay on a pretrained tower",
        include_str!("../../experiments/presets/fig4.toml"),
    ),
    preset(
        "fig5",
        "Figure 5: beta2 and loss spikes",
        include_str!("../../experiments/presets/fig5.toml"),
    ),
    preset(
        "fig6",
        "Figure 6: which negatives count",
        include_str!("../../experiments/presets/fig6.toml"),
    ),
    preset(
        "fig7",
        "Figure 7: noise in pictures, texts and alignment",
        include_str!("../../experiments/presets/fig7.toml"),
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spec::Experiment;

    /// A check of memory and no ablation: it is run from its file.
    const MILLION: &str = include_str!("../../experiments/presets/million.toml");

    #[test]
    fn every_preset_is_a_grid_that_can_run_and_says_what_it_is_about() {
        let all = ALL
            .iter()
            .map(|preset| preset.text)
            .chain([QUICKSTART, EMPTY, MILLION]);
        for text in all {
            let experiment = Experiment::parse(Path::new("preset.toml"), text, &[]).unwrap();
            experiment
                .expand()
                .unwrap()
                .require_valid(&experiment)
                .unwrap();
        }
        for preset in &ALL {
            let experiment = Experiment::parse(Path::new("preset.toml"), preset.text, &[]).unwrap();
            assert!(
                preset.about().starts_with(&experiment.question),
                "{}",
                preset.name
            );
            assert!(
                !experiment.reports.is_empty() && experiment.seeds.len() >= 3,
                "{}",
                preset.name
            );
        }
    }

    /// SigLIP, table 4: each of its five rows has its own number.
    #[test]
    fn reported_numbers_stand_at_their_settings() {
        let preset = ALL.iter().find(|preset| preset.name == "table4").unwrap();
        let experiment = Experiment::parse(Path::new("table4.toml"), preset.text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let found: Vec<Option<f64>> = grid
            .cells
            .iter()
            .filter(|cell| cell.seed == 0)
            .map(|cell| experiment.reported[0].value_of(cell))
            .collect();
        assert_eq!(found, [0.620, 0.630, 0.610, 0.617, 0.537].map(Some));
    }
}
