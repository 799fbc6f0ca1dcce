//! The answers of several experiments as one Markdown page: the verdicts first, then each question with its tables,
//! figures and cost.

use std::time::Duration;

use super::markdown;
use super::number::Scale;
use super::verdicts::difference;
use crate::analysis::{Cost, Findings, Verdict};
use crate::util::{capital, human_count, human_duration, printable};

/// A figure that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Relative to the page.
    pub path: String,
    pub caption: String,
}

/// What a page begins with, by which it is known.
const TITLE: &str = "# Answers\n\nWritten by `siglab report`, siglab ";
const HEADING: &str = "\n## ";

/// What a page says of one experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `sigmoid-vs-softmax` for the file of that name.
    name: String,
    /// Its lines in the table of verdicts.
    rows: Vec<String>,
    /// From its heading to the next.
    text: String,
}

impl Section {
    /// What there is to say of `findings`, with its figures.
    pub fn of(findings: &Findings, pictures: &[Picture]) -> Self {
        let name = name(findings);
        let row = |verdict: &Verdict| {
            format!(
                "{}{} | {} | {} |\n",
                row_of(&name),
                markdown::escape(&verdict.says),
                verdict.outcome.words(),
                difference(verdict)
            )
        };
        Self {
            rows: findings.verdicts.iter().map(row).collect(),
            text: section(findings, pictures),
            name,
        }
    }

    /// The sections of a page; none of one that was not written here.
    pub fn of_page(page: &str) -> Option<Vec<Self>> {
        let parts = page.strip_prefix(TITLE)?;
        let mut parts = parts.split(HEADING);
        let table = parts.next().unwrap_or_default();
        let section = |part: &str| {
            let name = part.lines().next().unwrap_or_default().to_owned();
            let rows = table.split_inclusive('\n');
            let own = rows.filter(|row| row.starts_with(&row_of(&name)));
            Self {
                rows: own.map(str::to_owned).collect(),
                text: format!("{HEADING}{part}"),
                name,
            }
        };
        Some(parts.map(section).collect())
    }
}

/// What the lines of an experiment begin with in the table of verdicts.
fn row_of(name: &str) -> String {
    format!("| [{name}](#{}) | ", anchor(name))
}

/// One page of `new`, and of those of `before` that are about other experiments, by name.
pub fn write_findings(new: Vec<Section>, before: Vec<Section>) -> String {
    let is_new = |old: &Section| new.iter().any(|section| section.name == old.name);
    let mut sections: Vec<Section> = before.into_iter().filter(|old| !is_new(old)).collect();
    sections.extend(new);
    sections.sort_by(|one, other| one.name.cmp(&other.name));
    let mut page = format!(
        "{TITLE}{}: what the runs say, whatever was expected. Differences are of matched cells, by seed; brackets hold \
         the 95 % interval of their mean over seeds by Student's t, each claim by itself. *Shown*: all of the interval is \
         on the claim's side. *Opposite*: all of it is on the other. *Not seen at this scale*: it has both sides.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    page += "| experiment | claim | verdict | difference |\n| --- | --- | --- | ---: |\n";
    page.extend(sections.iter().flat_map(|section| section.rows.clone()));
    page.extend(sections.into_iter().map(|section| section.text));
    page
}

fn section(findings: &Findings, pictures: &[Picture]) -> String {
    let mut text = format!(
        "{HEADING}{}\n\n**Question.** {}\n",
        name(findings),
        markdown::escape(&findings.question)
    );
    if !findings.prediction.is_empty() {
        let prediction = markdown::escape(&findings.prediction);
        text += &format!("\n**Expected** before it was run. {prediction}\n");
    }
    for verdict in &findings.verdicts {
        text += &format!(
            "\n**{}:** {} {}\n",
            capital(verdict.outcome.words()),
            markdown::escape(&verdict.says),
            in_words(verdict)
        );
    }
    for table in &findings.tables {
        text += &format!("\n{}", markdown::write_table(table));
    }
    for Picture { path, caption } in pictures {
        text += &format!("\n![{}]({})\n", markdown::escape(caption), printable(path));
    }
    text + &format!("\n**Cost.** {}\n", cost(&findings.cost))
}

/// `sigmoid-vs-softmax` for the file of that name.
fn name(findings: &Findings) -> String {
    let path = std::path::Path::new(&findings.experiment);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    printable(&stem)
}

/// As GitHub names a heading.
fn anchor(name: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let lower = name.chars().filter(kept).flat_map(char::to_lowercase);
    lower.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn in_words(verdict: &Verdict) -> String {
    let n = verdict.difference.n;
    if n == 0 {
        return "Nothing was measured on both sides.".into();
    }
    let unit = match Scale::of(&verdict.metric) {
        Scale::Percent => " percentage points",
        Scale::Plain => "",
    };
    let plural = if n == 1 { "seed" } else { "seeds" };
    let dropped = match verdict.matched.dropped {
        0 => String::new(),
        1 => "; one pair of cells lacks a side".into(),
        dropped => format!("; {dropped} pairs of cells lack a side"),
    };
    format!(
        "The difference in {} is {}{unit} over {n} {plural}{dropped}.",
        markdown::escape(&verdict.metric),
        difference(verdict)
    )
}

fn cost(cost: &Cost) -> String {
    let lost = [(cost.diverged, "diverged"), (cost.failed, "failed")];
    let lost: String = lost
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, how)| format!(", {n} {how}"))
        .collect();
    let devices: Vec<&str> = cost.devices.iter().map(String::as_str).collect();
    format!(
        "{} of {} runs completed{lost}; {} examples seen; {} of device time on {}.",
        cost.completed,
        cost.runs,
        human_count(cost.examples as f64),
        human_duration(Duration::from_secs_f64(cost.device_seconds)),
        markdown::escape(&devices.join(", "))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Estimate, Matched, Outcome};

    fn verdict(says: &str, metric: &str, outcome: Outcome, difference: Estimate) -> Verdict {
        Verdict {
            says: says.into(),
            metric: metric.into(),
            outcome,
            difference,
            matched: Matched {
                used: 3,
                dropped: 1,
            },
        }
    }

    #[test]
    fn a_page_says_what_was_found_whatever_was_expected() {
        let of = |mean: f64, half: Option<f64>, n| Estimate {
            mean: Some(mean),
            half_width: half,
            n,
        };
        let findings = Findings {
            experiment: "experiments/beta2 & co.toml".into(),
            question: "Why does the loss | spike?".into(),
            prediction: "It will not.".into(),
            verdicts: vec![
                verdict(
                    "A is ahead.",
                    "zeroshot/top1",
                    Outcome::Shown,
                    of(0.032, Some(0.011), 3),
                ),
                verdict(
                    "A is behind.",
                    "loss",
                    Outcome::Opposite,
                    of(0.25, Some(0.1), 3),
                ),
                verdict(
                    "A is B.",
                    "bias",
                    Outcome::NotSeen,
                    of(-0.002, Some(0.3), 2),
                ),
                verdict("A is C.", "loss", Outcome::Untested, of(0.5, None, 1)),
                verdict("A is D.", "loss", Outcome::Untested, Estimate::default()),
            ],
            tables: vec![super::super::example()],
            cost: Cost {
                runs: 6,
                completed: 4,
                diverged: 1,
                failed: 1,
                examples: 2_400_000,
                device_seconds: 754.0,
                devices: ["cpu".to_owned()].into(),
            },
        };
        let picture = Picture {
            path: "figures/beta2.svg".into(),
            caption: "The loss [1]".into(),
        };
        let section = Section::of(&findings, &[picture]);
        let mut page = write_findings(vec![section.clone()], Vec::new());
        assert_eq!(
            Section::of_page(&page),
            Some(vec![section]),
            "as it was written"
        );
        page = page.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(page);
    }
    #[test]
    fn a_page_keeps_what_it_says_of_others() {
        let section = |name: &str, says: &str| Section {
            name: name.into(),
            rows: vec![format!("{}{says} | shown | +1 |\n", row_of(name))],
            text: format!("{HEADING}{name}\n\n**Question.** Why?\n"),
        };
        let page = write_findings(
            vec![section("lit", "old"), section("beta2", "old")],
            Vec::new(),
        );
        let before = Section::of_page(&page).unwrap();
        let page = write_findings(vec![section("lit", "new"), section("noise", "new")], before);
        let expected = [
            section("beta2", "old"),
            section("lit", "new"),
            section("noise", "new"),
        ];
        assert_eq!(Section::of_page(&page).unwrap(), expected);
        assert_eq!(Section::of_page("# My notes\n"), None);
    }
}
