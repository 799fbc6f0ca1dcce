//! Experiment files in the many ways in which one can be written, and edits of them, drawn at random.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::spec::Design;
use crate::spec::edit::{Edit, Seeds, list};
use crate::spec::values::{quoted, to_toml};

pub const KEYS: [&str; 8] = [
    "optim.lr",
    "optim.eps",
    "optim.image.lr_mult",
    "loss.log_t.init",
    "loss.bias.init",
    "train.examples",
    "train.log_every",
    "model.text.init",
];

fn value_of(key: &str, n: u64) -> Value {
    match (key, n) {
        ("model.text.init", 0) => json!("random"),
        ("model.text.init", n) => json!({ "from": format!("{n:010}") }),
        (_, n) => json!(n),
    }
}

pub fn values_of(key: &str, numbers: &[u64]) -> Vec<Value> {
    numbers.iter().map(|n| value_of(key, *n)).collect()
}

/// A table of entries in one of the ways in which a file can have it.
fn written(section: &str, entries: &[(String, String)], style: u8, comments: &mut u32) -> String {
    let mut comment = |text: &mut String, line: String| {
        *comments += 2;
        *text += &format!("# c{}.\n{line} # c{}.\n", *comments, *comments + 1);
    };
    let mut text = String::new();
    match style {
        // Dotted, quoted, or in turn.
        0..=2 => {
            comment(&mut text, format!("[{section}]"));
            for (i, (key, value)) in entries.iter().enumerate() {
                let dotted = style == 0 || style == 2 && i % 2 == 0;
                let key = if dotted { key.clone() } else { quoted(key) };
                comment(&mut text, format!("{key} = {value}"));
                if i % 3 == 1 {
                    text.push('\n');
                }
            }
        }
        3 => {
            let split = |(key, value): &(String, String)| {
                let (table, name) = key.split_once('.').unwrap();
                (table.to_owned(), format!("{name} = {value}"))
            };
            let entries: Vec<(String, String)> = entries.iter().map(split).collect();
            let mut tables: Vec<&String> = entries.iter().map(|(table, _)| table).collect();
            tables.sort_unstable();
            tables.dedup();
            for table in tables {
                comment(&mut text, format!("[{section}.{table}]"));
                for (_, line) in entries.iter().filter(|(other, _)| other == table) {
                    comment(&mut text, line.clone());
                }
            }
        }
        4 => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key} = {value}"));
            let entries: Vec<String> = entries.collect();
            comment(
                &mut text,
                format!("{section} = {{ {} }}", entries.join(", ")),
            );
        }
        _ => {
            for (key, value) in entries {
                comment(&mut text, format!("{section}.{key} = {value}"));
            }
        }
    }
    text
}

/// Files in many ways of writing, most of which parse.
pub fn file() -> impl Strategy<Value = String> {
    let numbers = || prop::collection::btree_set(0u64..6, 1..4);
    let keys = Just(KEYS.to_vec()).prop_shuffle();
    let style = || 0u8..6;
    (
        keys,
        prop::collection::vec(numbers(), 8),
        (1usize..5, 0usize..3, 0usize..3),
        (style(), style(), 0u8..3, 0u8..3),
        (any::<bool>(), any::<bool>(), any::<bool>(), 1u64..4),
    )
        .prop_map(
            |(keys, numbers, counts, styles, (first, exclude, seeds, n))| {
                let mut comments = 0;
                let column = |i: usize, length: Option<usize>| {
                    let mut numbers: Vec<u64> = numbers[i].iter().copied().collect();
                    if let Some(length) = length {
                        numbers = (0..length as u64).collect();
                    }
                    (keys[i].to_owned(), values_of(keys[i], &numbers))
                };
                let toml =
                    |(key, values): &(String, Vec<Value>)| (key.clone(), list::fresh(values));
                let plain: Vec<_> = (0..counts.0).map(|i| column(i, None)).collect();
                let mut zips: Vec<Vec<_>> = Vec::new();
                for zip in 0..counts.1 {
                    zips.push(
                        (0..2)
                            .map(|i| column(counts.0 + 2 * zip + i, Some(2)))
                            .collect(),
                    );
                }
                let base: Vec<_> = (counts.0 + 2 * counts.1..8).take(counts.2).collect();
                let base: Vec<_> = base
                    .into_iter()
                    .map(|i| (keys[i].to_owned(), to_toml(&value_of(keys[i], 1))))
                    .collect();
                // Tables in front of all headers come first in any file.
                let mut root = String::new();
                let mut rest = String::new();
                if first {
                    root += "# c0.\nquestion = \"Why?\"\n";
                }
                for (section, entries, style) in [
                    ("base", base, styles.0),
                    ("axes", plain.iter().map(toml).collect(), styles.1),
                ] {
                    if entries.is_empty() {
                        continue;
                    }
                    let text = written(section, &entries, style, &mut comments);
                    match style {
                        4.. => root += &text,
                        _ => rest += &(text + "\n"),
                    }
                }
                if styles.2 == 2 && !zips.is_empty() {
                    let tables = zips.iter().map(|zip| {
                        let entries = zip.iter().map(toml).map(|(k, v)| format!("{k} = {v}"));
                        format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
                    });
                    root += &format!("zip = [{}]\n", tables.collect::<Vec<_>>().join(", "));
                } else {
                    for zip in &zips {
                        let entries: Vec<_> = zip.iter().map(toml).collect();
                        rest += &written("zip", &entries, styles.2 % 2, &mut comments)
                            .replacen("[zip]", "[[zip]]", 1);
                    }
                }
                let condition = plain.iter().chain(zips.iter().flatten()).find(|_| exclude);
                if let Some((key, values)) = condition {
                    let value = to_toml(&values[0]);
                    match styles.3 {
                        0 => {
                            rest +=
                                &format!("[[exclude]]\nwhen = {{ {} = {value} }}\n", quoted(key))
                        }
                        1 => rest += &format!("[[exclude]]\nwhen.{key} = {value} # c999.\n"),
                        _ => root += &format!("exclude = [{{ when = {{ {key} = {value} }} }}]\n"),
                    }
                }
                if seeds {
                    rest += &format!("\n[seeds]\ncount = {n} # c998.\n");
                }
                if let Some((key, _)) = plain.first() {
                    rest += &format!("\n[[report]]\nrows = {}\nmetric = \"loss\"\n", quoted(key));
                }
                format!("{root}\n{rest}").trim_start().to_owned()
            },
        )
}

pub fn edit() -> impl Strategy<Value = Edit> {
    let key = || prop::sample::select(KEYS.to_vec());
    let numbers = || Just((0u64..6).collect::<Vec<_>>()).prop_shuffle();
    let column = move || {
        (key(), numbers(), 1usize..4)
            .prop_map(|(key, numbers, count)| (key.to_owned(), values_of(key, &numbers[..count])))
    };
    let one = move || (key(), 0u64..6).prop_map(|(key, n)| (key.to_owned(), value_of(key, n)));
    // Most keys that are drawn are no axis of the file, and what needs two of them is rarer still.
    prop_oneof![
        4 => column().prop_map(|(key, values)| Edit::AddAxis { key, values }),
        8 => column().prop_map(|(key, values)| Edit::SetAxis { key, values }),
        8 => (key(), key()).prop_map(|(key, to)| Edit::RenameAxis {
            key: key.into(),
            to: to.into()
        }),
        12 => (key(), any::<bool>()).prop_map(|(key, later)| Edit::MoveAxis {
            key: key.into(),
            later
        }),
        6 => key().prop_map(|key| Edit::RemoveAxis { key: key.into() }),
        24 => (key(), key()).prop_map(|(one, other)| Edit::Zip {
            keys: vec![one.into(), other.into()]
        }),
        6 => key().prop_map(|key| Edit::Unzip { key: key.into() }),
        12 => prop::collection::vec(one(), 1..3).prop_map(|when| Edit::AddExclude { when }),
        12 => one().prop_map(|when| Edit::RemoveExclude { when: vec![when] }),
        4 => one().prop_map(|(key, value)| Edit::SetBase { key, value }),
        4 => key().prop_map(|key| Edit::UnsetBase { key: key.into() }),
        1 => Just(Edit::UnsetBase {
            key: "optim".into()
        }),
        1 => (1u64..5).prop_map(|n| Edit::Seeds(Seeds::Count(n))),
        1 => Just(Edit::Seeds(Seeds::Values(vec![7, 3]))),
        1 => Just(Edit::Design(Design::Full)),
        2 => prop::collection::vec(one(), 0..2)
            .prop_map(|around| Edit::Design(Design::OneFactor { around })),
        2 => (1usize..4, 0u64..3).prop_map(|(count, seed)| Edit::Design(Design::Random { count, seed })),
        1 => (1usize..4, 0u64..3)
            .prop_map(|(count, seed)| Edit::Design(Design::LatinHypercube { count, seed })),
        1 => (1u32..3, any::<bool>()).prop_map(|(p, words)| {
            let generators = ["d = a b c", "e = -optim.lr b"];
            let generators = generators.iter().take(if words { p as usize } else { 0 });
            Edit::Design(Design::Fractional {
                fraction: 1 << p,
                generators: generators.map(|word| (*word).to_owned()).collect(),
            })
        }),
        1 => Just(Edit::Question("Why \"not\"?".into())),
    ]
}
