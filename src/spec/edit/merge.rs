//! Edits of a file that somebody else has changed in the meantime: they are made again on the other text, unless both
//! sides changed one thing in two ways. Whatever comes out holds all that either side did, or says what it cannot hold.

use std::collections::BTreeMap;
use std::path::Path;

use super::axes::Axes;
use super::flat;
use super::layout::{Layout, Leaf};
use super::references::{excludes, label, leaves};
use super::{Edit, apply};
use crate::spec::Experiment;
use crate::spec::source;
use crate::spec::values::{show, show_one};
use crate::util::printable;

/// What came of two sides.
#[derive(Clone, Debug, PartialEq)]
pub enum Merge {
    Merged(String),
    /// At least one thing that both sides changed, or that cannot be changed any more.
    Conflict(Vec<Clash>),
}

/// One thing that the two sides see differently, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Clash {
    pub what: String,
    pub mine: String,
    pub theirs: String,
}

/// `theirs`, which somebody made of `base`, with `mine`, edits of `base`.
pub fn merge(base: &str, mine: &[Edit], theirs: &str) -> Merge {
    match attempt(base, mine, theirs) {
        Ok(text) => Merge::Merged(text),
        Err(clashes) => Merge::Conflict(clashes),
    }
}

fn attempt(base: &str, mine: &[Edit], theirs: &str) -> Result<String, Vec<Clash>> {
    let whole = |mine: String, theirs: String| {
        let what = "the file".to_owned();
        vec![Clash { what, mine, theirs }]
    };
    if mine.is_empty() {
        return Ok(theirs.to_owned());
    }
    let mut texts = vec![base.to_owned()];
    for edit in mine {
        let text = apply(&texts[texts.len() - 1], edit);
        texts.push(text.map_err(|e| whole(format!("{edit}: {e}"), "changed".into()))?);
    }
    let text = texts[texts.len() - 1].clone();
    if theirs == base {
        return Ok(text);
    }
    // My side, edit by edit: what each of them touched.
    let states = texts.iter().map(|text| State::of(text));
    let states: Vec<State> = states
        .collect::<Result<_, _>>()
        .map_err(|e| whole(e, "changed".into()))?;
    let their = State::of(theirs).map_err(|e| whole("changed".into(), e))?;
    let (before, my) = (&states[0], &states[states.len() - 1]);
    let expected = before.both(my, &their)?;

    let mut merged = theirs.to_owned();
    for (edit, pair) in mine.iter().zip(states.windows(2)) {
        let touched = pair[0].differences(&pair[1]);
        let same = |side: &State, other: &State| {
            touched
                .iter()
                .all(|what| side.says(what) == other.says(what))
        };
        // What I took back, I did not do.
        if same(before, my) {
            continue;
        }
        merged = match apply(&merged, edit) {
            Ok(text) => text,
            // They did it too.
            Err(_) if same(my, &their) => merged,
            Err(error) => {
                return Err(vec![Clash {
                    what: edit.to_string(),
                    mine: "was made here".into(),
                    theirs: format!("cannot be made there: {error}"),
                }]);
            }
        };
    }
    let after = State::of(&merged).map_err(|e| whole("changed".into(), e))?;
    let lost: Vec<Clash> = expected
        .differences(&after)
        .into_iter()
        .map(|what| clash(&what, my, &their))
        .collect();
    if !lost.is_empty() {
        return Err(lost);
    }
    let reads = |text: &str| Experiment::parse(Path::new("the file"), text, &[]).map(drop);
    match reads(&merged) {
        Err(error) if reads(&text).is_ok() && reads(theirs).is_ok() => Err(whole(
            "reads well alone".into(),
            format!("does not go with it: {error}"),
        )),
        _ => Ok(merged),
    }
}

/// What a text says, thing by thing, each in words that differ where the things do.
#[derive(Clone, Debug, PartialEq)]
struct State {
    things: BTreeMap<String, String>,
    /// The axes in order.
    order: Vec<String>,
}

/// The one thing that is not of a single key.
const ORDER: &str = "the order of the axes";

impl State {
    fn of(text: &str) -> Result<Self, String> {
        let text = &flat::array(text, "zip").map_err(|e| e.to_string())?;
        let layout = Layout::read(text).map_err(|e| e.to_string())?;
        let mut things = BTreeMap::new();
        let axes = Axes::of(&layout);
        let values = |leaf: &Leaf| match layout.list(&leaf.value) {
            Some(values) => show(&values),
            None => show_one(&layout.value(&leaf.value)),
        };
        for leaf in &axes.plain {
            things.insert(format!("axis {}", leaf.key), values(leaf));
        }
        for zip in &axes.zips {
            for leaf in zip {
                let mut others: Vec<&str> = zip.iter().map(|other| other.key.as_str()).collect();
                others.sort_unstable();
                let zipped = format!("{} in the zip of {}", values(leaf), others.join(", "));
                things.insert(format!("axis {}", leaf.key), zipped);
            }
        }
        for leaf in layout.leaves("base") {
            let value = show_one(&layout.value(&leaf.value));
            things.insert(format!("base {}", leaf.key), value);
        }
        for condition in excludes(text).map_err(|e| e.to_string())? {
            let sorted = leaves(&condition).into_iter().collect();
            things.insert(format!("exclude {}", label(&sorted)), "left out".into());
        }
        let document = source::parse(Path::new("the file"), text).map_err(|e| e.to_string())?;
        let document = document.to_value();
        let known = ["axes", "zip", "base", "exclude"];
        let others = document.as_object().into_iter().flatten();
        for (section, value) in others.filter(|(name, _)| !known.contains(&name.as_str())) {
            things.insert(section.clone(), show_one(value));
        }
        let order = axes.keys().map(str::to_owned).collect();
        Ok(Self { things, order })
    }

    /// What is said of a thing; None if it is not there.
    fn says(&self, what: &str) -> Option<String> {
        if what == ORDER {
            return Some(self.order.join(", "));
        }
        self.things.get(what).cloned()
    }

    /// The things of which `other` says something else.
    fn differences(&self, other: &Self) -> Vec<String> {
        let things = self.things.keys().chain(other.things.keys());
        let mut differences: Vec<String> = things
            .filter(|what| self.things.get(*what) != other.things.get(*what))
            .cloned()
            .collect();
        differences.sort_unstable();
        differences.dedup();
        // Axes that come or go are things; the order is that of those which stay.
        if self.order_with(other) != other.order_with(self) {
            differences.push(ORDER.into());
        }
        differences
    }

    fn order_with(&self, other: &Self) -> Vec<&String> {
        let stays = |key: &&String| other.order.contains(key);
        self.order.iter().filter(stays).collect()
    }

    /// What both sides together should say, where they do not contradict each other.
    fn both(&self, mine: &Self, theirs: &Self) -> Result<Self, Vec<Clash>> {
        let my = self.differences(mine);
        let their = self.differences(theirs);
        let between = mine.differences(theirs);
        let clashes: Vec<Clash> = my
            .iter()
            .filter(|what| their.contains(what) && between.contains(what))
            .map(|what| clash(what, mine, theirs))
            .collect();
        if !clashes.is_empty() {
            return Err(clashes);
        }
        let mut both = theirs.clone();
        for what in &my {
            match mine.things.get(what) {
                Some(said) => both.things.insert(what.clone(), said.clone()),
                None => both.things.remove(what),
            };
        }
        if my.iter().any(|what| what == ORDER) {
            both.order.clone_from(&mine.order);
        }
        Ok(both)
    }
}

fn clash(what: &str, mine: &State, theirs: &State) -> Clash {
    let said = |side: &State| {
        let said = side.says(what).unwrap_or_else(|| "not there".into());
        printable(&said)
    };
    Clash {
        what: printable(what),
        mine: said(mine),
        theirs: said(theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"question = "Why?"
[base]
train.examples = 80_000 # pairs
[axes]
"loss.kind" = ["sigmoid", "softmax"]
"optim.lr" = [1e-3, 3e-3]
"train.batch_size" = [16, 32]
[[exclude]]
when = { "loss.kind" = "softmax", "optim.lr" = 3e-3 }
[seeds]
count = 2
"#;

    fn edits(words: &[&str]) -> Vec<Edit> {
        words.iter().map(|words| words.parse().unwrap()).collect()
    }

    fn edited(text: &str, words: &[&str]) -> String {
        let edits = edits(words);
        edits
            .iter()
            .fold(text.to_owned(), |text, edit| apply(&text, edit).unwrap())
    }

    fn merged(mine: &[&str], theirs: &str) -> String {
        match merge(BASE, &edits(mine), theirs) {
            Merge::Merged(text) => text,
            Merge::Conflict(clashes) => panic!("{mine:?}: {clashes:?}"),
        }
    }

    fn clashes(mine: &[&str], theirs: &[&str]) -> Vec<(String, String, String)> {
        match merge(BASE, &edits(mine), &edited(BASE, theirs)) {
            Merge::Merged(text) => panic!("{mine:?} and {theirs:?} gave\n{text}"),
            Merge::Conflict(clashes) => clashes
                .into_iter()
                .map(|clash| (clash.what, clash.mine, clash.theirs))
                .collect(),
        }
    }

    #[test]
    fn without_a_change_of_theirs_my_text_is_the_result() {
        let mine = ["axis up optim.lr", "seeds 5", "base unset train.examples"];
        assert_eq!(merged(&mine, BASE), edited(BASE, &mine));
    }

    #[test]
    fn changes_of_different_things_go_together_and_their_comments_stay() {
        let theirs = BASE
            .replace("# pairs", "# pairs, see the notes")
            .replace("[16, 32]", "[16, 32, 64] # more")
            .replace("count = 2", "values = [4, 5]");
        let mine = [
            "axis set optim.lr 1e-4, 3e-3",
            "base set optim.eps=1e-6",
            "axis add optim.beta2 0.9, 0.99",
            "question Really?",
        ];
        let text = merged(&mine, &theirs);
        assert_eq!(text, edited(&theirs, &mine));
        for part in [
            "see the notes",
            "[16, 32, 64] # more",
            "[4, 5]",
            "[1e-4, 3e-3]",
            "optim.beta2",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn the_same_change_of_both_is_one() {
        for words in [
            "axis set optim.lr 1",
            "axis add optim.eps 1, 2",
            "axis remove train.batch_size",
            "axis up optim.lr",
            "exclude add loss.kind=softmax optim.lr=1e-3",
            "exclude remove loss.kind=softmax optim.lr=3e-3",
            "zip loss.kind optim.lr",
            "base unset train.examples",
            "seeds 7",
        ] {
            assert_eq!(
                State::of(&merged(&[words], &edited(BASE, &[words]))),
                State::of(&edited(BASE, &[words])),
                "{words}"
            );
        }
    }

    #[test]
    fn what_both_changed_in_two_ways_is_left_to_a_person() {
        let one = |what: &str, mine: &str, theirs: &str| {
            vec![(what.to_owned(), mine.to_owned(), theirs.to_owned())]
        };
        assert_eq!(
            clashes(&["axis set optim.lr 1"], &["axis set optim.lr 2, 3"]),
            one("axis optim.lr", "1", "2, 3")
        );
        assert_eq!(
            clashes(
                &["axis set train.batch_size 64"],
                &["axis remove train.batch_size"]
            ),
            one("axis train.batch_size", "64", "not there")
        );
        assert_eq!(
            clashes(&["axis add optim.eps 1"], &["axis add optim.eps 2"]),
            one("axis optim.eps", "1", "2")
        );
        assert_eq!(
            clashes(&["seeds 3"], &["seeds 4"]),
            one("seeds", "{ count = 3 }", "{ count = 4 }")
        );
        assert_eq!(
            clashes(
                &["base set train.examples=1"],
                &["base unset train.examples"]
            ),
            one("base train.examples", "1", "not there")
        );
        assert_eq!(
            clashes(&["question A"], &["question B"]),
            one("question", "A", "B")
        );
        assert_eq!(
            clashes(&["axis up optim.lr"], &["axis down optim.lr"])[0].0,
            "the order of the axes"
        );
        let zipped = clashes(&["zip loss.kind optim.lr"], &["axis set optim.lr 1, 2"]);
        assert_eq!(
            zipped,
            one(
                "axis optim.lr",
                "1e-3, 3e-3 in the zip of loss.kind, optim.lr",
                "1, 2"
            )
        );
    }

    #[test]
    fn a_merge_that_no_experiment_can_be_is_left_to_a_person() {
        // Each side is well alone; the value that they speak of is not on the axis any more.
        let found = clashes(
            &["exclude add train.batch_size=32 loss.kind=sigmoid"],
            &["axis set train.batch_size 64"],
        );
        assert_eq!(found[0].0, "the file");
        assert!(found[0].2.contains("32 is not on that axis"), "{found:?}");
        // Their new condition would follow my rename, which they know nothing of.
        let found = clashes(
            &["axis rename train.batch_size train.tile"],
            &["exclude add train.batch_size=32"],
        );
        assert!(
            found.iter().any(|(what, ..)| what.starts_with("exclude ")),
            "{found:?}"
        );
    }

    #[test]
    fn what_i_took_back_does_not_undo_theirs() {
        let theirs = edited(BASE, &["axis set optim.lr 7, 8"]);
        let mine = [
            "axis set optim.lr 1",
            "axis set optim.lr 1e-3, 3e-3",
            "seeds 4",
        ];
        assert_eq!(merged(&mine, &theirs), edited(&theirs, &["seeds 4"]));
    }

    #[test]
    fn a_file_that_is_no_toml_any_more_is_left_to_a_person() {
        let Merge::Conflict(clashes) = merge(BASE, &edits(&["seeds 3"]), "[axes") else {
            panic!("that is no TOML")
        };
        assert!(
            clashes[0].theirs.contains("line 1 is not TOML"),
            "{clashes:?}"
        );
    }
}
