//! Every setting with its documentation, for somebody who picks an axis: what the doc comments and types of the
//! settings say, joined with the defaults that [`Schema`] learns. A new field or kind is here with nothing else to
//! write. It says what a key is, not whether a value or an experiment is right.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::path;
use super::schema::Schema;
use crate::train::TrainConfig;

/// One setting of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnownKey {
    /// Dotted, as in `[axes]`.
    pub key: String,
    /// What it does: one paragraph of plain text.
    pub doc: String,
    /// What the table around it is about, such as `loss.bias` for `loss.bias.init`; empty at the top.
    pub about: String,
    /// What a value is, in a person's words: `number`, `one of "cosine", "linear", "constant"`.
    pub sort: String,
    /// The words that it can be, if they can be listed.
    pub choices: Vec<Choice>,
    /// Its value where a file says nothing: one for each choice of kinds under which the setting exists.
    pub defaults: Vec<KindDefault>,
    /// The kinds that a run must be of to have it, such as `loss.kind = "sigmoid"`.
    pub only_with: Option<String>,
}

/// One thing that a setting can be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    pub word: String,
    /// Empty where the word says it all.
    pub doc: String,
    /// The keys that come with it: `{ from = .. }` is the word `from` with itself as the key. Empty for a plain word.
    pub takes: Vec<String>,
}

/// A default, and the kinds under which it holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindDefault {
    pub kinds: BTreeMap<String, String>,
    pub value: Value,
}

/// Every setting of every kind, sorted by key.
pub fn catalogue() -> Vec<KnownKey> {
    Schema::learn().catalogue()
}

impl Schema {
    /// [`catalogue`] for those who have a schema.
    pub fn catalogue(&self) -> Vec<KnownKey> {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
        });
        let root = settings
            .into_generator()
            .into_root_schema_for::<TrainConfig>()
            .to_value();
        let known = |key: &String| self.known_key(&root, key);
        self.leaves.keys().map(known).collect()
    }

    fn known_key(&self, root: &Value, key: &str) -> KnownKey {
        let here = nodes(root, key);
        let about = match path::parent(key) {
            "" => String::new(),
            table => doc_of(&nodes(root, table)),
        };
        let is_tag = self.tags.iter().any(|(tag, _)| tag == key);
        let doc = match doc_of(&here) {
            // What a tag chooses among is said of its table.
            doc if doc.is_empty() && is_tag => about.clone(),
            doc => doc,
        };
        let kinds = match is_tag {
            true => kinds_of(&nodes(root, path::parent(key)), key),
            false => Vec::new(),
        };
        // A kind that brings no settings of its own is a word among others.
        let choices = match kinds.is_empty() {
            true => choices_of(&here),
            false => kinds,
        };
        let defaults = self.leaves[key].iter().map(|variant| KindDefault {
            kinds: variant.kinds.clone(),
            value: variant.default.clone(),
        });
        KnownKey {
            key: key.to_owned(),
            doc,
            about,
            sort: sort_of(&here, &choices),
            choices,
            defaults: defaults.collect(),
            only_with: self.only_with(key),
        }
    }

    /// The tags around `key` of whose kinds only some have it.
    fn only_with(&self, key: &str) -> Option<String> {
        let conditions = self.tags.iter().filter_map(|(tag, all)| {
            let having: BTreeSet<&String> = self.leaves[key]
                .iter()
                .filter_map(|variant| variant.kinds.get(tag))
                .collect();
            if having.is_empty() || having.len() == all.len() {
                return None;
            }
            let kinds: Vec<String> = having.iter().map(|kind| format!("\"{kind}\"")).collect();
            Some(format!("{tag} = {}", kinds.join(" or ")))
        });
        let conditions: Vec<String> = conditions.collect();
        (!conditions.is_empty()).then(|| conditions.join(" and "))
    }
}

impl KnownKey {
    /// The default as a person would say it, with the kinds where it depends on them.
    pub fn default_label(&self) -> String {
        let labels: BTreeSet<String> = self
            .defaults
            .iter()
            .map(|default| path::label(&default.value))
            .collect();
        if labels.len() == 1 {
            return labels.into_iter().collect();
        }
        let under = |default: &KindDefault| {
            let kinds = default.kinds.values().cloned().collect::<Vec<_>>();
            format!("{} ({})", path::label(&default.value), kinds.join(", "))
        };
        self.defaults
            .iter()
            .map(under)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Whether every one of `words` is somewhere in what is said of the setting, in whatever case.
    pub fn has_words(&self, words: &[String]) -> bool {
        let choices = self
            .choices
            .iter()
            .map(|choice| format!("{} {}", choice.word, choice.doc));
        let said = [self.key.as_str(), &self.doc, &self.about].join(" ") + " ";
        let said = (said + &choices.collect::<Vec<_>>().join(" ")).to_lowercase();
        words.iter().all(|word| said.contains(&word.to_lowercase()))
    }
}

/// What the schema says of `key`, once for each kind that has it.
fn nodes<'s>(root: &'s Value, key: &str) -> Vec<&'s Value> {
    key.split('.').fold(vec![root], |nodes, segment| {
        let inside = nodes.into_iter().flat_map(alternatives);
        inside
            .filter_map(|node| node.get("properties")?.get(segment))
            .collect()
    })
}

/// A node and all that it can be instead.
fn alternatives(node: &Value) -> Vec<&Value> {
    let lists = ["oneOf", "anyOf", "allOf"]
        .into_iter()
        .filter_map(|list| node.get(list)?.as_array());
    let inner = lists.flatten().flat_map(alternatives);
    std::iter::once(node).chain(inner).collect()
}

/// The first that is said of the nodes themselves.
fn doc_of(nodes: &[&Value]) -> String {
    let said = |node: &&Value| Some(node.get("description")?.as_str()?.to_owned());
    let text = nodes.iter().find_map(said).unwrap_or_default();
    plain(&text)
}

/// The first paragraph of a doc comment without its markup.
fn plain(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    words
        .join(" ")
        .replace("[`", "")
        .replace("`]", "")
        .replace('`', "")
}

/// The words of a choice, each once.
fn choices_of(nodes: &[&Value]) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for node in nodes.iter().copied().flat_map(alternatives) {
        let listed = node.get("enum").and_then(Value::as_array);
        let words = listed.into_iter().flatten().chain(node.get("const"));
        let plain = words.filter_map(Value::as_str).map(|word| (word, vec![]));
        let required = node.get("required").and_then(Value::as_array);
        let keys: Vec<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let table = keys
            .first()
            .map(|word| (*word, keys.iter().map(|key| (*key).to_owned()).collect()));
        for (word, takes) in plain.chain(table).collect::<Vec<_>>() {
            if choices.iter().all(|known| known.word != word) {
                // A list of bare words shares one node, whose doc is that of the whole.
                let own = listed.is_none();
                choices.push(Choice {
                    word: word.to_owned(),
                    doc: if own { doc_of(&[node]) } else { String::new() },
                    takes,
                });
            }
        }
    }
    choices
}

/// The kinds that `tag` chooses among, each described by the alternative of its table that it stands for.
fn kinds_of(tables: &[&Value], tag: &str) -> Vec<Choice> {
    let name = tag.rsplit('.').next().unwrap_or(tag);
    let kinds = tables.iter().copied().flat_map(alternatives);
    let kind = |table: &Value| {
        let word = table.get("properties")?.get(name)?.get("const")?.as_str()?;
        Some(Choice {
            word: word.to_owned(),
            doc: doc_of(&[table]),
            takes: Vec::new(),
        })
    };
    kinds.filter_map(kind).collect()
}

fn sort_of(nodes: &[&Value], choices: &[Choice]) -> String {
    if !choices.is_empty() {
        let mut number = nodes.iter().copied().flat_map(alternatives);
        let number = number.any(|node| node.get("type").is_some_and(|t| t == "number"));
        let shown = choices.iter().map(|choice| {
            if choice.takes.is_empty() {
                format!("\"{}\"", choice.word)
            } else {
                format!("{{ {} = .. }}", choice.takes.join(" = .., "))
            }
        });
        let shown: Vec<String> = shown.collect();
        if number {
            return format!("number or {}", shown.join(" or "));
        }
        return match shown.as_slice() {
            [only] => only.clone(),
            several => format!("one of {}", several.join(", ")),
        };
    }
    let node = nodes.first().copied().unwrap_or(&Value::Null);
    let least = node.get("minimum").and_then(Value::as_f64);
    match node.get("type").and_then(Value::as_str) {
        Some("number") => "number".into(),
        Some("integer") if least == Some(0.0) => "whole number from 0 up".into(),
        Some("integer") => "whole number".into(),
        Some("boolean") => "true or false".into(),
        Some("string") => "text".into(),
        Some("array") => "list".into(),
        _ => "table".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(key: &str) -> KnownKey {
        let all = catalogue();
        all.into_iter().find(|known| known.key == key).unwrap()
    }

    #[test]
    fn every_setting_is_there_and_says_what_it_is() {
        let all = catalogue();
        let schema = Schema::learn();
        assert!(
            all.iter().map(|known| known.key.as_str()).eq(schema.keys()),
            "one entry a key"
        );
        for known in &all {
            assert!(!known.doc.is_empty(), "{} needs a doc comment", known.key);
            assert!(!known.doc.contains(['`', '\n']), "{}", known.doc);
            assert!(
                known.key == "seed" || !known.about.is_empty(),
                "the table of {} needs a doc comment",
                known.key
            );
            assert!(
                known.sort != "table" && !known.defaults.is_empty(),
                "{known:?}"
            );
            if let Some((_, kinds)) = schema.tags.iter().find(|(tag, _)| *tag == known.key) {
                let words: Vec<&String> = known.choices.iter().map(|c| &c.word).collect();
                assert!(words.iter().copied().eq(kinds), "{words:?} {kinds:?}");
                assert!(known.choices.iter().all(|c| !c.doc.is_empty()), "{known:?}");
            }
            // What the catalogue offers, the settings take.
            for choice in known.choices.iter().filter(|c| c.takes.is_empty()) {
                schema.check(&known.key, &json!(choice.word)).unwrap();
            }
        }
    }

    #[test]
    fn types_are_said_in_words() {
        let sort = |key: &str| known(key).sort;
        assert_eq!(sort("optim.lr"), "number");
        assert_eq!(sort("data.noise"), "number");
        assert_eq!(sort("train.batch_size"), "whole number from 0 up");
        assert_eq!(sort("loss.log_t.learned"), "true or false");
        assert_eq!(
            sort("data.kind"),
            "one of \"shapes\", \"webdataset\", \"csv\", \"parquet\", \"folder\", \"features\""
        );
        assert_eq!(
            sort("loss.kind"),
            "one of \"sigmoid\", \"softmax\", \"classify\""
        );
        assert_eq!(
            sort("model.image.init"),
            "one of \"random\", { from = .. }, { file = .. }"
        );
        assert_eq!(
            sort("loss.bias.mode"),
            "one of \"learned\", \"frozen\", \"none\""
        );
        assert_eq!(sort("loss.bias.init"), "number or \"prior\" or \"file\"");
    }

    #[test]
    fn a_setting_of_some_kinds_says_of_which() {
        assert_eq!(
            known("loss.bias.init").only_with.as_deref(),
            Some("loss.kind = \"sigmoid\"")
        );
        let log_t = known("loss.log_t.init");
        assert_eq!(
            log_t.only_with.as_deref(),
            Some("loss.kind = \"sigmoid\" or \"softmax\"")
        );
        assert_eq!(
            log_t.default_label(),
            "2.30259 (sigmoid), 2.65926 (softmax)"
        );
        let noise = known("data.noise").only_with;
        assert_eq!(noise.as_deref(), Some("data.kind = \"shapes\""));
        let size = known("data.image_size");
        assert_eq!(size.only_with, None, "every kind has it");
        assert!(size.default_label().contains("32 (shapes)"), "{size:?}");
    }

    #[test]
    fn docs_are_those_of_the_settings() {
        let beta2 = known("optim.beta2");
        assert_eq!(
            beta2.doc,
            "How much of the second moment, the mean of its square, survives an update; 0.95 forgets a spike within a hundred steps. Adafactor: the most that survives, for it begins with less. Lion: how much of its only moment survives; its paper has 0.99."
        );
        assert_eq!(beta2.default_label(), "0.95");
        let lr_mult = known("optim.image.lr_mult");
        assert_eq!(
            (lr_mult.doc.as_str(), lr_mult.about.as_str()),
            (
                "Multiplies the learning rate; 0 keeps the tower as it starts: locked, frozen, as in LiT.",
                "The image tower's share."
            )
        );
        assert_eq!(known("loss.kind").doc, "What is minimised.");
        let pool = known("model.image.pool");
        assert_eq!(
            pool.choices[0],
            Choice {
                word: "map".into(),
                doc: "Multi-head attention pooling with one learned probe (SigLIP).".into(),
                takes: vec![]
            }
        );
    }

    #[test]
    fn a_search_wants_every_word_somewhere() {
        let found = |words: &[&str]| -> Vec<String> {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let all = catalogue();
            all.into_iter()
                .filter(|known| known.has_words(&words))
                .map(|known| known.key)
                .collect()
        };
        assert_eq!(found(&["COSINE"]), ["optim.schedule.decay"]);
        assert_eq!(found(&["image", "weight decay"]), ["optim.image.wd_mult"]);
        assert_eq!(found(&["logit scale", "starts"]), ["loss.log_t.init"]);
        assert!(found(&["nothing of the sort"]).is_empty());
    }
}
