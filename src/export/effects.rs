//! The effects of axes to text, in the formats that tables have: one line a level or a pair of levels.

use anyhow::Context;

use super::markdown::{self, escape};
use super::{Format, Scale, align, csv::inert};
use crate::analysis::{Effects, Estimate, Matched};
use crate::util::printable;

const LEGEND: &str = "difference to the first level at the same positions of all other axes and the same seeds, ± \
    half-width of the 95 % interval over seeds; of two axes, how much the difference of one changes along the other; \
    matched: positions, once a seed, that have every level";

/// What is said of one level or one pair of levels.
struct Line<'e> {
    axis: String,
    level: String,
    effect: &'e Estimate,
    matched: Matched,
}

/// The effects on each metric.
pub fn write_effects(effects: &[Effects], format: Format) -> anyhow::Result<String> {
    let each = |one: fn(&Effects) -> String| effects.iter().map(one).collect::<Vec<_>>().join("\n");
    match format {
        Format::Text => Ok(each(text)),
        Format::Markdown => Ok(each(github)),
        Format::Csv => csv(effects),
        Format::Json => Ok(serde_json::to_string_pretty(effects)? + "\n"),
    }
}

fn lines(effects: &Effects) -> Vec<Line<'_>> {
    let main = effects.axes.iter().flat_map(|axis| {
        axis.levels.iter().map(|level| Line {
            axis: axis.axis.clone(),
            level: format!("{} vs {}", level.level, axis.reference),
            effect: &level.effect,
            matched: axis.matched,
        })
    });
    let together = effects.interactions.iter().map(|pair| Line {
        axis: pair.axes.join(" × "),
        level: pair.levels.join(" × "),
        effect: &pair.effect,
        matched: pair.matched,
    });
    main.chain(together).collect()
}

/// Heading and lines for people.
fn rows(effects: &Effects) -> Vec<Vec<String>> {
    let head = ["axis", "level", "effect", "seeds", "matched"].map(str::to_owned);
    let scale = Scale::of(&effects.metric);
    let row = |line: Line| {
        let Matched { used, dropped } = line.matched;
        let mean = line.effect.mean.map(|mean| {
            let sign = if mean > 0.0 { "+" } else { "" };
            format!("{sign}{}", scale.estimate(mean, line.effect.half_width))
        });
        vec![
            line.axis,
            line.level,
            mean.unwrap_or_else(|| "missing".into()),
            line.effect.n.to_string(),
            format!("{used} of {}", used + dropped),
        ]
    };
    std::iter::once(head.to_vec())
        .chain(lines(effects).into_iter().map(row))
        .collect()
}

fn heading(effects: &Effects) -> String {
    let unit = Scale::of(&effects.metric).unit();
    format!("Effects on {}{unit}", effects.metric)
}

fn text(effects: &Effects) -> String {
    let heading = printable(&heading(effects));
    format!("{heading}\n\n{}\n{LEGEND}\n", align(&rows(effects)))
}

fn github(effects: &Effects) -> String {
    let rows: Vec<Vec<String>> = rows(effects)
        .iter()
        .map(|row| row.iter().map(|word| escape(word)).collect())
        .collect();
    let table = markdown::pipes(&rows, 2);
    format!("**{}**\n\n{table}\n{LEGEND}\n", escape(&heading(effects)))
}

fn csv(effects: &[Effects]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "metric",
        "axis",
        "level",
        "effect",
        "half_width",
        "seeds",
        "used",
        "dropped",
    ])?;
    for effects in effects {
        for line in lines(effects) {
            let real = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
            writer.write_record([
                inert(&effects.metric),
                inert(&line.axis),
                inert(&line.level),
                real(line.effect.mean),
                real(line.effect.half_width),
                line.effect.n.to_string(),
                line.matched.used.to_string(),
                line.matched.dropped.to_string(),
            ])?;
        }
    }
    let bytes = writer
        .into_inner()
        .context("cannot write the effects as CSV")?;
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{AxisEffect, Interaction, LevelEffect};

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
        };
        Effects {
            metric: "zeroshot/top1".into(),
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
        }
    }

    #[test]
    fn effects_are_differences_with_a_sign() {
        insta::assert_snapshot!(write_effects(&[example()], Format::Text).unwrap(), @r"
        Effects on zeroshot/top1 in %

        axis                  level                effect      seeds  matched
        loss.kind             soft|max vs sigmoid  +3.2 ± 1.1  3      17 of 18
        optim.lr              0.003 vs 0.001       missing     0      0 of 18
        loss.kind × optim.lr  soft|max × 0.003     -1.2 ± 3.4  3      9 of 9

        difference to the first level at the same positions of all other axes and the same seeds, ± half-width of the 95 % interval over seeds; of two axes, how much the difference of one changes along the other; matched: positions, once a seed, that have every level
        ");
        insta::assert_snapshot!(write_effects(&[example()], Format::Markdown).unwrap(), @r"
        **Effects on zeroshot/top1 in %**

        | axis | level | effect | seeds | matched |
        | --- | --- | ---: | ---: | ---: |
        | loss.kind | soft\|max vs sigmoid | +3.2 ± 1.1 | 3 | 17 of 18 |
        | optim.lr | 0.003 vs 0.001 | missing | 0 | 0 of 18 |
        | loss.kind × optim.lr | soft\|max × 0.003 | -1.2 ± 3.4 | 3 | 9 of 9 |

        difference to the first level at the same positions of all other axes and the same seeds, ± half-width of the 95 % interval over seeds; of two axes, how much the difference of one changes along the other; matched: positions, once a seed, that have every level
        ");
        insta::assert_snapshot!(write_effects(&[example()], Format::Csv).unwrap(), @r"
        metric,axis,level,effect,half_width,seeds,used,dropped
        zeroshot/top1,loss.kind,soft|max vs sigmoid,0.0321,0.011,3,17,1
        zeroshot/top1,optim.lr,0.003 vs 0.001,,,0,0,18
        zeroshot/top1,loss.kind × optim.lr,soft|max × 0.003,-0.012,0.034,3,9,0
        ");
    }
}
