//! What is said of a class to ask for it, where its data set does not say: `{c}` is the class's name.

use std::path::Path;

use anyhow::{Context, ensure};

/// The seven that CLIP's authors chose one after another for ImageNet, and the plain one; one a line.
const BEST: &str = include_str!("../../../assets/prompts/best.txt");
const PLAIN: &str = include_str!("../../../assets/prompts/plain.txt");

/// The templates that `name` means: `best`, `plain`, or a file with one a line.
///
/// # Errors
/// A file that cannot be read, or holds no template; a template without a place for the class.
pub fn named(name: &str) -> anyhow::Result<Vec<String>> {
    match name {
        "best" => of(BEST),
        "plain" => of(PLAIN),
        path => from_file(Path::new(path)),
    }
}

/// Those of the file at `path`.
///
/// # Errors
/// As [`named`].
pub fn from_file(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path);
    text.map_err(anyhow::Error::from)
        .and_then(|text| of(&text))
        .with_context(|| path.display().to_string())
}

fn of(text: &str) -> anyhow::Result<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let templates: Vec<String> = lines.map(str::to_owned).collect();
    ensure!(!templates.is_empty(), "there is no template in it");
    for template in &templates {
        let fits = template.contains("{c}") || template.contains("{}");
        ensure!(fits, "\"{template}\" has no place for the class, {{c}}");
    }
    Ok(templates)
}

/// `class` said by each of `templates`.
pub fn say(templates: &[String], class: &str) -> Vec<String> {
    let say = |template: &String| template.replace("{c}", class).replace("{}", class);
    templates.iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_say_the_class() {
        assert_eq!(
            say(&named("plain").unwrap(), "tench"),
            ["a photo of a tench."]
        );
        let best = say(&named("best").unwrap(), "tench");
        assert_eq!(best.len(), 7);
        assert!(
            best.iter().all(|prompt| prompt.contains("tench")),
            "{best:?}"
        );
    }

    #[test]
    fn what_is_no_template_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("templates.txt");
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            format!("{:#}", from_file(&path).unwrap_err())
        };
        assert!(error("a photo").contains("\"a photo\" has no place"));
        assert!(error("\n\n").contains("templates.txt"));
        assert!(format!("{:#}", named("nowhere.txt").unwrap_err()).contains("nowhere.txt"));
    }
}
