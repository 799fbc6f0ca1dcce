//! The effects of axes to text, in the formats that tables have: one line a level or a pair of levels, and below it the
//! analysis of variance, or why there is none.

use super::frame::{Frame, Values};
use super::legend::{interval, moment};
use super::markdown::{self, escape};
use super::words::Words;
use super::{Scale, VERSION, align, html, latex, text::wrap};
use crate::analysis::{Anova, Comparison, Effects, Estimate, Matched, Part, Source, Variance};
use crate::util::printable;

const LEGEND: &str = "difference to the first level at the same positions of all other axes and the same seeds, ± \
    half-width of the 95 % interval over seeds; of two axes, how much the difference of one changes along the other; \
    matched: positions, once a seed, that have every level";

/// What is said of one level or one pair of levels.
struct Line<'e> {
    axis: String,
    level: String,
    effect: &'e Estimate,
    comparison: Option<Comparison>,
    matched: Matched,
}

fn lines(effects: &Effects) -> Vec<Line<'_>> {
    let main = effects.axes.iter().flat_map(|axis| {
        axis.levels.iter().map(|level| Line {
            axis: axis.axis.clone(),
            level: format!("{} vs {}", level.level, axis.reference),
            effect: &level.effect,
            comparison: level.comparison,
            matched: axis.matched,
        })
    });
    let together = effects.interactions.iter().map(|pair| Line {
        axis: pair.axes.join(" × "),
        level: pair.levels.join(" × "),
        effect: &pair.effect,
        comparison: None,
        matched: pair.matched,
    });
    main.chain(together).collect()
}

/// The effects, and the analysis of variance where there is one.
fn words(effects: &Effects, escape: fn(&str) -> String) -> Vec<Words> {
    let escaped = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
        let escape = |row: Vec<String>| row.iter().map(|word| escape(word)).collect();
        rows.into_iter().map(escape).collect()
    };
    let unit = Scale::of(&effects.metric).unit();
    let mut below = vec![legend(effects)];
    let mut words = Vec::new();
    match &effects.variance {
        Some(Variance::Analysed(anova)) => words.push(Words {
            heading: format!("Analysis of variance of {}", effects.metric),
            rows: escaped(variance(anova)),
            below: vec![of_variance(anova)],
        }),
        Some(Variance::Refused { reason }) => {
            below.push(format!("no analysis of variance: {reason}"));
        }
        None => {}
    }
    let effects = Words {
        heading: format!("Effects on {}{unit}", effects.metric),
        rows: escaped(rows(effects)),
        below,
    };
    words.insert(0, effects);
    words
}

/// Heading and lines for people.
fn rows(effects: &Effects) -> Vec<Vec<String>> {
    let mut head = vec!["axis", "level", "effect", "seeds", "matched"];
    if effects.baseline.is_some() {
        head[4] = "p (Holm)";
    }
    let scale = Scale::of(&effects.metric);
    let row = |line: Line| {
        let Matched { used, dropped } = line.matched;
        let mean = line.effect.mean.map(|mean| {
            let sign = if mean > 0.0 { "+" } else { "" };
            format!("{sign}{}", scale.estimate(mean, line.effect.half_width))
        });
        let tested = line
            .comparison
            .map(|found| format!("{:.3}", found.adjusted));
        vec![
            line.axis,
            line.level,
            mean.unwrap_or_else(|| "missing".into()),
            line.effect.n.to_string(),
            match effects.baseline {
                Some(_) => tested.unwrap_or_else(|| "?".into()),
                None => format!("{used} of {}", used + dropped),
            },
        ]
    };
    std::iter::once(head.into_iter().map(str::to_owned).collect())
        .chain(lines(effects).into_iter().map(row))
        .collect()
}

/// What the differences are, and when the runs were asked.
fn legend(effects: &Effects) -> String {
    let what = match &effects.baseline {
        Some(baseline) => format!(
            "difference to the baseline, {baseline}, ± half-width of the 95 % interval over seeds, by itself; p: paired t over \
             seeds, with Holm's correction over all lines; ? too few seeds to test"
        ),
        None => LEGEND.to_owned(),
    };
    let moment = moment(&effects.asked).map_or_else(String::new, |moment| format!("; {moment}"));
    format!("{what}{moment}")
}

fn variance(anova: &Anova) -> Vec<Vec<String>> {
    let head = ["source", "sum of squares", "df", "F", "p"].map(str::to_owned);
    let plain = |x: f64| Scale::Plain.alone(x);
    let sources = anova.sources.iter().map(|source| {
        vec![
            source.name.clone(),
            plain(source.part.sum_of_squares),
            source.part.df.to_string(),
            match source.f {
                f if f.is_finite() => format!("{f:.2}"),
                _ => "-".into(),
            },
            match source.p {
                p if p < 0.001 => "<0.001".into(),
                p => format!("{p:.3}"),
            },
        ]
    });
    let residual = vec![
        "residual".to_owned(),
        plain(anova.residual.sum_of_squares),
        anova.residual.df.to_string(),
        String::new(),
        String::new(),
    ];
    std::iter::once(head.to_vec())
        .chain(sources)
        .chain([residual])
        .collect()
}

fn of_variance(anova: &Anova) -> String {
    let left_out = match anova.left_out {
        0 => String::new(),
        n => format!("; {n} more lack a cell and are left out"),
    };
    format!(
        "main effects and pairs of axes, seeds as blocks, over the {} seeds that every cell has{left_out}; the residual holds \
         the noise and what three axes and more do together",
        anova.seeds
    )
}

/// For a terminal.
pub fn text(effects: &Effects) -> String {
    let each = words(effects, str::to_owned).into_iter().map(|words| {
        let heading = printable(&words.heading);
        let below: String = words.below.iter().map(|text| wrap(text)).collect();
        format!("{heading}\n\n{}\n{below}", align(&words.rows))
    });
    each.collect::<Vec<_>>().join("\n")
}

pub(super) fn github(effects: &Effects) -> String {
    let each = words(effects, escape).into_iter().map(|words| {
        let table = markdown::pipes(&words.rows, numbers(&words));
        let below = escape(&words.below.join("; "));
        format!("**{}**\n\n{table}\n{below}\n\n", escape(&words.heading))
    });
    each.collect::<String>() + &markdown::comment(&origin(effects))
}

pub(super) fn float(effects: &Effects) -> String {
    let each = words(effects, latex::escape).into_iter().map(|words| {
        let caption = format!("{}: {}.", words.heading, words.below.join("; "));
        latex::float(&latex::escape(&caption), &words.rows, numbers(&words))
    });
    latex::comment(&origin(effects)) + &each.collect::<Vec<_>>().join("\n")
}

pub(super) fn element(effects: &Effects) -> String {
    let each = words(effects, html::escape).into_iter().map(|words| {
        let heading = html::escape(&words.heading);
        let below = html::escape(&words.below.join("; "));
        html::table(&heading, &words.rows, numbers(&words)) + &format!("<p>{below}</p>\n")
    });
    each.collect::<String>() + &html::details(&origin(effects))
}

/// Where numbers begin: behind axis and level, or the source of variance.
fn numbers(words: &Words) -> usize {
    match words.rows[0][0].as_str() {
        "source" => 1,
        _ => 2,
    }
}

/// Where the effects are from, line by line.
fn origin(effects: &Effects) -> Vec<String> {
    vec![
        format!(
            "siglab {VERSION}, {}, intervals {}",
            effects.experiment,
            interval(effects.interval)
        ),
        format!(
            "n = {}, runs {}",
            effects.runs.len(),
            effects.runs.join(" ")
        ),
    ]
}

/// One row for each difference and each source of variance, for programs.
pub(super) fn frame(effects: &[&Effects]) -> Frame {
    let entries: Vec<(&Effects, Entry<'_>)> = effects
        .iter()
        .flat_map(|effects| entries(effects).into_iter().map(|entry| (*effects, entry)))
        .collect();
    let texts = |of: fn(&Effects, &Entry<'_>) -> String| {
        Values::words(entries.iter().map(|(effects, entry)| of(effects, entry)))
    };
    let reals = |of: fn(&Entry<'_>) -> Option<f64>| {
        Values::reals(entries.iter().map(|(_, entry)| of(entry)))
    };
    let counts = |of: fn(&Entry<'_>) -> Option<u64>| {
        Values::Whole(
            entries
                .iter()
                .map(|(_, entry)| of(entry).map(|n| n as i64))
                .collect(),
        )
    };
    let mut frame = Frame::default();
    frame.push("metric", texts(|effects, _| effects.metric.clone()));
    frame.push("kind", texts(|_, entry| entry.kind().into()));
    frame.push("axis", texts(|_, entry| entry.name()));
    frame.push(
        "level",
        texts(|_, entry| {
            entry
                .line()
                .map_or_else(String::new, |line| line.level.clone())
        }),
    );
    frame.push("effect", reals(|entry| entry.line()?.effect.mean));
    frame.push("half_width", reals(|entry| entry.line()?.effect.half_width));
    frame.push("seeds", counts(|entry| Some(entry.seeds() as u64)));
    frame.push(
        "used",
        counts(|entry| Some(entry.line()?.matched.used as u64)),
    );
    frame.push(
        "dropped",
        counts(|entry| Some(entry.line()?.matched.dropped as u64)),
    );
    frame.push(
        "sum_of_squares",
        reals(|entry| Some(entry.part()?.sum_of_squares)),
    );
    frame.push("df", counts(|entry| Some(entry.part()?.df)));
    frame.push("f", reals(|entry| entry.f()));
    frame.push("p", reals(|entry| entry.p()));
    frame.push(
        "p_adjusted",
        reals(|entry| Some(entry.line()?.comparison?.adjusted)),
    );
    frame.push("interval", texts(|effects, _| interval(effects.interval)));
    frame.push(
        "at",
        texts(|effects, _| moment(&effects.asked).unwrap_or_default()),
    );
    frame.push("runs", texts(|effects, _| effects.runs.join(" ")));
    frame.push("experiment", texts(|effects, _| effects.experiment.clone()));
    frame.push("siglab", texts(|_, _| VERSION.to_owned()));
    frame
}

/// A row of the frame.
enum Entry<'e> {
    Difference(Line<'e>),
    /// Of an analysis of variance over so many seeds.
    Source(&'e Source, usize),
    Residual(Part, usize),
}

fn entries(effects: &Effects) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = lines(effects).into_iter().map(Entry::Difference).collect();
    if let Some(Variance::Analysed(anova)) = &effects.variance {
        let sources = anova.sources.iter();
        entries.extend(sources.map(|source| Entry::Source(source, anova.seeds)));
        entries.push(Entry::Residual(anova.residual, anova.seeds));
    }
    entries
}

impl<'e> Entry<'e> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Difference(_) => "difference",
            Self::Source(..) | Self::Residual(..) => "variance",
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Difference(line) => line.axis.clone(),
            Self::Source(source, _) => source.name.clone(),
            Self::Residual(..) => "residual".into(),
        }
    }

    fn line(&self) -> Option<&Line<'e>> {
        match self {
            Self::Difference(line) => Some(line),
            Self::Source(..) | Self::Residual(..) => None,
        }
    }

    fn part(&self) -> Option<Part> {
        match self {
            Self::Difference(_) => None,
            Self::Source(source, _) => Some(source.part),
            Self::Residual(part, _) => Some(*part),
        }
    }

    fn seeds(&self) -> usize {
        match self {
            Self::Difference(line) => line.effect.n as usize,
            Self::Source(_, seeds) | Self::Residual(_, seeds) => *seeds,
        }
    }

    fn f(&self) -> Option<f64> {
        match self {
            Self::Source(source, _) => Some(source.f),
            Self::Difference(_) | Self::Residual(..) => None,
        }
    }

    fn p(&self) -> Option<f64> {
        match self {
            Self::Difference(line) => line.comparison.map(|found| found.p),
            Self::Source(source, _) => Some(source.p),
            Self::Residual(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, write};
    use super::*;
    use crate::analysis::{Asked, AxisEffect, Interaction, Interval, LevelEffect, Sheet};

    fn example() -> Effects {
        let effect = |mean: f64, half: f64| Estimate {
            mean: Some(mean),
            half_width: Some(half),
            n: 3,
        };
        let matched = |used, dropped| Matched { used, dropped };
        let level = |level: &str, effect| LevelEffect {
            level: level.into(),
            effect,
            comparison: None,
        };
        Effects {
            experiment: "experiments/example.toml".into(),
            runs: vec!["0000000000".into(), "0000000001".into()],
            interval: Interval::T,
            metric: "zeroshot/top1".into(),
            asked: Asked::default(),
            axes: vec![
                AxisEffect {
                    axis: "loss.kind".into(),
                    reference: "sigmoid".into(),
                    levels: vec![level("soft|max", effect(0.0321, 0.011))],
                    matched: matched(17, 1),
                },
                AxisEffect {
                    axis: "optim.lr".into(),
                    reference: "0.001".into(),
                    levels: vec![level("0.003", Estimate::default())],
                    matched: matched(0, 18),
                },
            ],
            interactions: vec![Interaction {
                axes: ["loss.kind".into(), "optim.lr".into()],
                levels: ["soft|max".into(), "0.003".into()],
                effect: effect(-0.012, 0.034),
                matched: matched(9, 0),
            }],
            baseline: None,
            variance: Some(Variance::Analysed(Anova {
                sources: vec![Source {
                    name: "soft|max".into(),
                    part: Part {
                        sum_of_squares: 0.0123,
                        df: 1,
                    },
                    f: 15.81,
                    p: 0.000_56,
                }],
                residual: Part {
                    sum_of_squares: 0.0187,
                    df: 24,
                },
                seeds: 3,
                left_out: 0,
            })),
        }
    }

    fn shown(format: Format) -> anyhow::Result<String> {
        Ok(String::from_utf8(write(
            &[Sheet::Effects(example())],
            format,
        )?)?)
    }

    #[test]
    fn effects_are_differences_with_a_sign() {
        insta::assert_snapshot!(shown(Format::Text).unwrap(), @r"
        Effects on zeroshot/top1 in %

        axis                  level                effect      seeds  matched
        loss.kind             soft|max vs sigmoid  +3.2 ± 1.1  3      17 of 18
        optim.lr              0.003 vs 0.001       missing     0      0 of 18
        loss.kind × optim.lr  soft|max × 0.003     -1.2 ± 3.4  3      9 of 9

        difference to the first level at the same positions of all other axes and the
        same seeds, ± half-width of the 95 % interval over seeds; of two axes, how much
        the difference of one changes along the other; matched: positions, once a seed,
        that have every level

        Analysis of variance of zeroshot/top1

        source    sum of squares  df  F      p
        soft|max  0.01230         1   15.81  <0.001
        residual  0.01870         24

        main effects and pairs of axes, seeds as blocks, over the 3 seeds that every
        cell has; the residual holds the noise and what three axes and more do together
        ");
        insta::assert_snapshot!(shown(Format::Markdown).unwrap(), @r"
        **Effects on zeroshot/top1 in %**

        | axis | level | effect | seeds | matched |
        | --- | --- | ---: | ---: | ---: |
        | loss.kind | soft\|max vs sigmoid | +3.2 ± 1.1 | 3 | 17 of 18 |
        | optim.lr | 0.003 vs 0.001 | missing | 0 | 0 of 18 |
        | loss.kind × optim.lr | soft\|max × 0.003 | -1.2 ± 3.4 | 3 | 9 of 9 |

        difference to the first level at the same positions of all other axes and the same seeds, ± half-width of the 95 % interval over seeds; of two axes, how much the difference of one changes along the other; matched: positions, once a seed, that have every level

        **Analysis of variance of zeroshot/top1**

        | source | sum of squares | df | F | p |
        | --- | ---: | ---: | ---: | ---: |
        | soft\|max | 0.01230 | 1 | 15.81 | &lt;0.001 |
        | residual | 0.01870 | 24 |  |  |

        main effects and pairs of axes, seeds as blocks, over the 3 seeds that every cell has; the residual holds the noise and what three axes and more do together

        <!-- siglab 0.1.0, experiments/example.toml, intervals 95 % Student's t; n = 2, runs 0000000000 0000000001 -->
        ");
        insta::assert_snapshot!(shown(Format::Csv).unwrap(), @r"
        metric,kind,axis,level,effect,half_width,seeds,used,dropped,sum_of_squares,df,f,p,p_adjusted,interval,at,runs,experiment,siglab
        zeroshot/top1,difference,loss.kind,soft|max vs sigmoid,0.0321,0.011,3,17,1,,,,,,95 % Student's t,,0000000000 0000000001,experiments/example.toml,0.1.0
        zeroshot/top1,difference,optim.lr,0.003 vs 0.001,,,0,0,18,,,,,,95 % Student's t,,0000000000 0000000001,experiments/example.toml,0.1.0
        zeroshot/top1,difference,loss.kind × optim.lr,soft|max × 0.003,-0.012,0.034,3,9,0,,,,,,95 % Student's t,,0000000000 0000000001,experiments/example.toml,0.1.0
        zeroshot/top1,variance,soft|max,,,,3,,,0.0123,1,15.81,0.00056,,95 % Student's t,,0000000000 0000000001,experiments/example.toml,0.1.0
        zeroshot/top1,variance,residual,,,,3,,,0.0187,24,,,,95 % Student's t,,0000000000 0000000001,experiments/example.toml,0.1.0
        ");
    }

    #[test]
    fn every_format_says_where_the_effects_are_from() {
        for format in [
            Format::Markdown,
            Format::Latex,
            Format::Html,
            Format::Csv,
            Format::Json,
        ] {
            let text = shown(format).unwrap();
            for word in [VERSION, "experiments/example.toml", "0000000001"] {
                assert!(text.contains(word), "{format:?} lacks {word}: {text}");
            }
        }
        assert!(
            shown(Format::Latex)
                .unwrap()
                .starts_with("% \\usepackage{booktabs}\n% siglab")
        );
        insta::assert_snapshot!(shown(Format::Latex).unwrap());
        insta::assert_snapshot!(shown(Format::Html).unwrap());
    }
}
