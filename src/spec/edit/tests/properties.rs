//! What holds of every edit of every file.

use proptest::prelude::*;

use super::FILE;
use super::drawn::{KEYS, edit, file, values_of};
use super::meaning::Meaning;
use crate::spec::edit::{Edit, Merge, apply, merge};

/// The words by which the comments of a drawn file are known.
fn comments(text: &str) -> Vec<&str> {
    let words = text.split_whitespace();
    let mut comments: Vec<&str> = words
        .filter(|w| w.starts_with('c') && w.ends_with('.'))
        .collect();
    comments.sort_unstable();
    comments
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_means_the_same_however_the_file_is_written(
        text in file(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let mut text = text;
        let Ok(mut meaning) = Meaning::of(&text) else {
            // Not every drawing is a good experiment; an edit of it is refused or made, and nothing breaks.
            for edit in &edits {
                let _ = apply(&text, edit);
            }
            return Ok(());
        };
        for edit in &edits {
            let result = apply(&text, edit);
            let Some(expected) = meaning.clone().after(edit) else {
                prop_assert!(result.is_err(), "{edit} of\n{text}\ngave\n{}", result.unwrap());
                continue;
            };
            let new = result.map_err(|e| TestCaseError::fail(format!("{edit}: {e}\n{text}")))?;
            let goes = matches!(
                edit,
                Edit::RemoveAxis { .. } | Edit::UnsetBase { .. } | Edit::RemoveExclude { .. }
                    | Edit::Seeds(_) | Edit::RenameAxis { .. } | Edit::SetBase { .. }
            );
            let excludes_inline = text.contains("exclude = [") || text.contains("zip = [");
            if !goes && !excludes_inline {
                prop_assert_eq!(comments(&text), comments(&new), "{} of\n{}\ngave\n{}", edit, &text, &new);
            }
            // A rename or an exclude may ask for what no experiment can have: that is for its reader to say.
            if let Ok(after) = Meaning::of(&new) {
                prop_assert_eq!(after.clone().core(), expected.core(), "{} of\n{}\ngave\n{}", edit, &text, &new);
                meaning = after;
                text = new;
            }
        }
    }

    #[test]
    fn without_a_change_of_theirs_a_merge_is_my_text(text in file(), edits in prop::collection::vec(edit(), 0..5)) {
        let (mut mine, mut made) = (text.clone(), Vec::new());
        for edit in edits {
            if let Ok(new) = apply(&mine, &edit) {
                (mine, made) = (new, [made, vec![edit]].concat());
            }
        }
        prop_assert_eq!(merge(&text, &made, &text), Merge::Merged(mine.clone()));
        prop_assert_eq!(merge(&text, &[], &mine), Merge::Merged(mine));
    }

    #[test]
    fn edits_of_different_axes_commute(
        text in file(),
        keys in Just(KEYS.to_vec()).prop_shuffle(),
        numbers in Just((0u64..6).collect::<Vec<_>>()).prop_shuffle(),
        rename in any::<bool>(),
    ) {
        let set = |key: &str, count: usize| Edit::SetAxis {
            key: key.into(),
            values: values_of(key, &numbers[..count]),
        };
        let mine = set(keys[0], 2);
        let theirs = if rename {
            Edit::RenameAxis { key: keys[1].into(), to: keys[2].into() }
        } else {
            set(keys[1], 2)
        };
        let (Ok(my), Ok(their)) = (apply(&text, &mine), apply(&text, &theirs)) else {
            return Ok(());
        };
        prop_assume!(Meaning::of(&my).is_ok() && Meaning::of(&their).is_ok());
        let one = merge(&text, std::slice::from_ref(&mine), &their);
        let other = merge(&text, std::slice::from_ref(&theirs), &my);
        // A zip is one thing: whoever sets one of its keys and whoever renames another changed the same.
        if let (Merge::Merged(one), Merge::Merged(other)) = (&one, &other) {
            prop_assert_eq!(Meaning::of(one).unwrap(), Meaning::of(other).unwrap());
        } else {
            let together = |meaning: &Meaning| meaning.zip_of(keys[0]).is_some_and(|zip| Some(zip) == meaning.zip_of(keys[1]));
            let excluded = |meaning: &Meaning| meaning.excluded(keys[0]) || meaning.excluded(keys[1]);
            let base = Meaning::of(&text);
            prop_assert!(base.is_ok_and(|base| together(&base) || excluded(&base)), "{:?}\n{:?}\n{}", one, other, text);
        }
    }

    #[test]
    fn the_words_of_an_edit_are_that_edit(edit in edit()) {
        prop_assert_eq!(edit.to_string().parse::<Edit>(), Ok(edit));
    }

    #[test]
    fn no_words_and_no_text_break_it(words in "(axis |zip |base |exclude |seeds )?\\PC*", text in "\\PC*") {
        if let Ok(edit) = words.parse::<Edit>() {
            prop_assert_eq!(edit.to_string().parse::<Edit>(), Ok(edit.clone()));
            let _ = apply(&text, &edit);
            let _ = apply(FILE, &edit);
        }
    }
}
