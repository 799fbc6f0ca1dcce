//! What tells two runs apart, in words: a verdict, and a section for each kind of difference.

use serde_json::Value;

use super::{Scale, align, number};
use crate::analysis::{Diff, Item};
use crate::util::printable;

/// One line of a section: what it is, and how it is with each run.
pub type DiffLine = (String, [String; 2]);

/// The kinds of difference that there are, and what came out.
pub fn diff_sections(diff: &Diff) -> Vec<(&'static str, Vec<DiffLine>)> {
    let sections = [
        ("settings", &diff.settings),
        ("code", &diff.code),
        ("environment", &diff.environment),
        ("data", &diff.data),
        ("outcome", &diff.outcome),
    ];
    let lines = |name: &str, items: &[Item]| {
        let line = |item: &Item| match name {
            "outcome" => measured(item),
            _ => (
                item.what.clone(),
                item.values.each_ref().map(|it| word(it.as_ref())),
            ),
        };
        items.iter().map(line).collect::<Vec<_>>()
    };
    let there = sections.into_iter().filter(|(_, items)| !items.is_empty());
    there
        .map(|(name, items)| (name, lines(name, items)))
        .collect()
}

/// What it comes to, in one sentence.
pub fn diff_verdict(diff: &Diff) -> String {
    let [one, other] = &diff.runs;
    if one == other {
        return format!("{one} is one run");
    }
    let settings = diff.settings.len();
    let parts = [
        (settings, if settings == 1 { "setting" } else { "settings" }),
        (diff.code.len(), "of code"),
        (diff.environment.len(), "of environment"),
        (diff.data.len(), "of data"),
    ];
    match diff.replicates {
        true => format!("{one} and {other} differ in nothing but the seed"),
        false => {
            let parts = parts.iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            format!("{one} and {other} differ: {}", parts.join(", "))
        }
    }
}

/// For a terminal.
pub fn diff_text(diff: &Diff) -> String {
    let mut text = printable(&diff_verdict(diff)) + "\n";
    let mut rows = Vec::new();
    for (name, lines) in diff_sections(diff) {
        rows.push(vec![String::new()]);
        let [one, other] = diff.runs.clone();
        rows.push(vec![name.to_uppercase(), one, other]);
        rows.extend(
            lines
                .into_iter()
                .map(|(what, [one, other])| vec![what, one, other]),
        );
    }
    text += &align(&rows);
    for note in &diff.notes {
        text += &format!("\nnote: {}\n", printable(note));
    }
    text
}

/// A value in full: those that differ must look different.
fn word(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(word)) => word.clone(),
        Some(value) => value.to_string(),
        None => "-".into(),
    }
}

/// Measurements as tables have them.
fn measured(item: &Item) -> DiffLine {
    let of = |value: &Option<Value>| match value.as_ref().and_then(Value::as_f64) {
        Some(x) if item.values.iter().flatten().any(Value::is_f64) => number(&item.what, x),
        _ => word(value.as_ref()),
    };
    let unit = Scale::of(&item.what).unit();
    (
        format!("{}{unit}", item.what),
        item.values.each_ref().map(of),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(what: &str, one: Value, other: Value) -> Item {
        let there = |value: Value| (!value.is_null()).then_some(value);
        Item {
            what: what.into(),
            values: [there(one), there(other)],
        }
    }

    fn example() -> Diff {
        Diff {
            runs: ["00000000aa".into(), "00000000bb".into()],
            replicates: false,
            settings: vec![
                item("loss.bias.init", json!(-10.0), Value::Null),
                item("loss.kind", json!("sigmoid"), json!("softmax")),
                item("seed", json!(0), json!(1)),
            ],
            code: vec![item("git tree", json!("clean"), json!("changed"))],
            environment: Vec::new(),
            data: vec![item(
                "data.path",
                json!("2 files, ab"),
                json!("2 files, \x1b[31mcd"),
            )],
            outcome: vec![
                item("state", json!("completed"), json!("running")),
                item("examples", json!(4096), json!(1024)),
                item("loss", json!(2.25), Value::Null),
                item("zeroshot/top1", json!(0.523), json!(0.25)),
            ],
            notes: vec!["run 00000000bb has not started".into()],
        }
    }

    #[test]
    fn a_verdict_and_what_it_rests_on() {
        insta::assert_snapshot!(diff_text(&example()), @r"
        00000000aa and 00000000bb differ: 3 settings, 1 of code, 1 of data

        SETTINGS            00000000aa   00000000bb
        loss.bias.init      -10.0        -
        loss.kind           sigmoid      softmax
        seed                0            1

        CODE                00000000aa   00000000bb
        git tree            clean        changed

        DATA                00000000aa   00000000bb
        data.path           2 files, ab  2 files, �[31mcd

        OUTCOME             00000000aa   00000000bb
        state               completed    running
        examples            4096         1024
        loss                2.250        -
        zeroshot/top1 in %  52.3         25.0

        note: run 00000000bb has not started
        ");
    }

    #[test]
    fn replicates_are_called_so() {
        let mut diff = example();
        diff.replicates = true;
        assert_eq!(
            diff_verdict(&diff),
            "00000000aa and 00000000bb differ in nothing but the seed"
        );
        diff.runs[1] = diff.runs[0].clone();
        assert_eq!(diff_verdict(&diff), "00000000aa is one run");
    }
}
