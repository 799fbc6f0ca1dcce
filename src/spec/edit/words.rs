//! An edit as words: what `siglab edit FILE` takes and what a face shows of a change. The words of an edit read back
//! are that edit.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use super::{Edit, Seeds};
use crate::spec::values::{self, ValuesError, quoted, show, show_one};
use crate::spec::{Conditions, Design};
use crate::util::printable;

/// The forms that an edit has, for a person who got one wrong.
const FORMS: [&str; 23] = [
    "axis add KEY VALUES",
    "axis set KEY VALUES",
    "axis rename KEY KEY",
    "axis up KEY",
    "axis down KEY",
    "axis remove KEY",
    "zip KEY KEY..",
    "zip set KEY VALUES; KEY VALUES..",
    "unzip KEY",
    "exclude add KEY=VALUE..",
    "exclude remove KEY=VALUE..",
    "base set KEY=VALUE",
    "base unset KEY",
    "seeds COUNT",
    "seeds [SEED, SEED..]",
    "design full",
    "design one-factor [KEY=VALUE..]",
    "design fractional fraction=NUMBER [generators=[\"d = a b c\", ..]]",
    "design random count=NUMBER [seed=NUMBER]",
    "design latin-hypercube count=NUMBER [seed=NUMBER]",
    "question TEXT",
    "report add METRIC [rows=KEY] [columns=KEY] [title=TEXT]",
    "report remove NUMBER",
];

/// Words that are no edit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EditWordsError(String);

impl From<ValuesError> for EditWordsError {
    fn from(error: ValuesError) -> Self {
        Self(error.to_string())
    }
}

type Result<T> = std::result::Result<T, EditWordsError>;

impl FromStr for Edit {
    type Err = EditWordsError;

    fn from_str(text: &str) -> Result<Self> {
        let (what, rest) = word(text);
        let (how, more) = word(rest);
        match (what, how) {
            ("axis", "add") => keyed(what, more, |key, values| Self::AddAxis { key, values }),
            ("axis", "set") => keyed(what, more, |key, values| Self::SetAxis { key, values }),
            ("axis", "rename") => match keys(more)?.as_slice() {
                [key, to] => Ok(Self::RenameAxis {
                    key: key.clone(),
                    to: to.clone(),
                }),
                _ => Err(forms("axis rename")),
            },
            ("axis", "up" | "down") => Ok(Self::MoveAxis {
                key: only(&format!("axis {how}"), more)?,
                later: how == "down",
            }),
            ("axis", "remove") => Ok(Self::RemoveAxis {
                key: only("axis remove", more)?,
            }),
            ("zip", "set") => {
                let columns = values::parts(more, |c| c == ';')?.into_iter();
                let columns = columns.map(|column| keyed("zip set", column, |k, v| (k, v)));
                match columns.collect::<Result<Vec<_>>>()? {
                    none if none.is_empty() => Err(forms("zip set")),
                    columns => Ok(Self::SetZip { columns }),
                }
            }
            ("zip", _) => match keys(rest)? {
                few if few.len() < 2 => Err(forms("zip")),
                keys => Ok(Self::Zip { keys }),
            },
            ("unzip", _) => Ok(Self::Unzip {
                key: only("unzip", rest)?,
            }),
            ("exclude", "add") => Ok(Self::AddExclude {
                when: conditions(more)?,
            }),
            ("exclude", "remove") => Ok(Self::RemoveExclude {
                when: conditions(more)?,
            }),
            ("base", "set") => {
                let (key, value) = more.split_once('=').ok_or_else(|| forms("base set"))?;
                Ok(Self::SetBase {
                    key: only("base set", key)?,
                    value: values::parse_one(value)?,
                })
            }
            ("base", "unset") => Ok(Self::UnsetBase {
                key: only("base unset", more)?,
            }),
            ("design", kind) => design(kind, more).map(Self::Design),
            ("seeds", _) => seeds(rest).map(Self::Seeds),
            ("question", _) if !rest.is_empty() => Ok(Self::Question(verbatim(rest))),
            ("report", "add") => report(more),
            ("report", "remove") => match more.parse::<usize>() {
                Ok(number) if number > 0 => Ok(Self::RemoveReport { index: number - 1 }),
                _ => Err(forms("report remove")),
            },
            _ => Err(forms(what)),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = |when: &Conditions| {
            let pairs = when
                .iter()
                .map(|(k, v)| format!("{}={}", shown(k), show_one(v)));
            pairs.collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::AddAxis { key, values } => {
                write!(f, "axis add {} {}", shown(key), show(values))
            }
            Self::SetAxis { key, values } => {
                write!(f, "axis set {} {}", shown(key), show(values))
            }
            Self::SetZip { columns } => {
                let columns = columns
                    .iter()
                    .map(|(key, values)| format!("{} {}", shown(key), show(values)));
                write!(f, "zip set {}", columns.collect::<Vec<_>>().join("; "))
            }
            Self::RenameAxis { key, to } => write!(f, "axis rename {} {}", shown(key), shown(to)),
            Self::MoveAxis { key, later } => {
                let how = if *later { "down" } else { "up" };
                write!(f, "axis {how} {}", shown(key))
            }
            Self::RemoveAxis { key } => write!(f, "axis remove {}", shown(key)),
            Self::Zip { keys } => {
                let keys: Vec<String> = keys.iter().map(|key| shown(key)).collect();
                write!(f, "zip {}", keys.join(" "))
            }
            Self::Unzip { key } => write!(f, "unzip {}", shown(key)),
            Self::AddExclude { when } => write!(f, "exclude add {}", pairs(when)),
            Self::RemoveExclude { when } => write!(f, "exclude remove {}", pairs(when)),
            Self::SetBase { key, value } => {
                write!(f, "base set {}={}", shown(key), show_one(value))
            }
            Self::UnsetBase { key } => write!(f, "base unset {}", shown(key)),
            Self::Seeds(Seeds::Count(count)) => write!(f, "seeds {count}"),
            Self::Seeds(Seeds::Values(values)) => write!(f, "seeds {values:?}"),
            Self::Design(design) => {
                write!(f, "design {}", design.kind())?;
                let entries = design.entries();
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                let all: Conditions = match design {
                    Design::OneFactor { around } => around.clone(),
                    _ => entries.collect(),
                };
                match all.is_empty() {
                    true => Ok(()),
                    false => write!(f, " {}", pairs(&all)),
                }
            }
            Self::Question(text) => {
                let plain = verbatim(text) == *text && printable(text) == *text;
                let plain = plain && text.trim() == text && !text.is_empty();
                let text = if plain { text.clone() } else { quoted(text) };
                write!(f, "question {text}")
            }
            Self::AddReport {
                title,
                rows,
                columns,
                metric,
            } => {
                write!(f, "report add {}", shown(metric))?;
                let named = [("rows", rows), ("columns", columns), ("title", title)];
                for (name, value) in named {
                    if let Some(value) = value {
                        write!(f, " {name}={}", show_one(&Value::from(value.as_str())))?;
                    }
                }
                Ok(())
            }
            Self::RemoveReport { index } => write!(f, "report remove {}", index + 1),
        }
    }
}

impl Edit {
    /// The command that makes this edit, as one types it into a shell.
    pub fn command(&self, file: &Path) -> String {
        // The words of an edit may come one by one, a file's name may not.
        let words = self.to_string();
        let words = match words.contains("  ") {
            true => in_shell(&words, ""),
            false => in_shell(&words, " "),
        };
        format!(
            "siglab edit {} {words}",
            in_shell(&file.display().to_string(), "")
        )
    }
}

/// `text` with quotes around it where a shell would read it as something else; `also` is plain here.
fn in_shell(text: &str, also: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c) || also.contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn forms(what: &str) -> EditWordsError {
    let of = |form: &&&str| form.split_whitespace().next() == what.split_whitespace().next();
    let exact: Vec<&str> = FORMS
        .iter()
        .filter(|f| f.starts_with(what))
        .copied()
        .collect();
    let near: Vec<&str> = FORMS.iter().filter(of).copied().collect();
    let shown = match (what.is_empty(), exact.is_empty(), near.is_empty()) {
        (false, false, _) => exact,
        (false, _, false) => near,
        _ => FORMS.to_vec(),
    };
    EditWordsError(format!("expected {}", shown.join(" | ")))
}

/// The first word, and the rest.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// A key and what follows.
fn key(text: &str) -> Result<(String, &str)> {
    let text = text.trim_start();
    let cut = values::parts(text, char::is_whitespace)?;
    let first = cut.first().copied().unwrap_or_default();
    let name = match values::parse_one(first) {
        Ok(Value::String(name)) if first.starts_with(['"', '\'']) => name,
        _ => first.to_owned(),
    };
    if name.is_empty() {
        return Err(EditWordsError("a key is missing, such as optim.lr".into()));
    }
    Ok((name, &text[first.len()..]))
}

fn keys(text: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let (name, more) = key(rest)?;
        keys.push(name);
        rest = more;
    }
    Ok(keys)
}

/// The one key that `text` is.
fn only(form: &str, text: &str) -> Result<String> {
    match keys(text)?.as_slice() {
        [key] => Ok(key.clone()),
        _ => Err(forms(form)),
    }
}

fn keyed<T>(form: &str, text: &str, made: impl Fn(String, Vec<Value>) -> T) -> Result<T> {
    // What follows the key may hold a quote that never ends, which the reader of values says better.
    let (name, rest) = match text.trim_start().starts_with('"') {
        true => key(text)?,
        false => {
            let (name, rest) = word(text);
            (name.to_owned(), rest)
        }
    };
    if name.is_empty() {
        return Err(forms(form));
    }
    Ok(made(name, values::parse(rest)?))
}

fn conditions(text: &str) -> Result<Conditions> {
    let pairs = values::pairs(text)?.into_iter().map(|(name, value)| {
        let (name, _) = key(name)?;
        Ok((name, values::parse_one(value)?))
    });
    match pairs.collect::<Result<Vec<_>>>()? {
        none if none.is_empty() => Err(forms("exclude")),
        pairs => Ok(pairs),
    }
}

fn seeds(text: &str) -> Result<Seeds> {
    if let Ok(count) = text.parse() {
        return Ok(Seeds::Count(count));
    }
    let values = values::parse(text).map_err(|_| forms("seeds"))?;
    let whole = values.iter().map(Value::as_u64);
    match whole.collect::<Option<Vec<u64>>>() {
        Some(values) => Ok(Seeds::Values(values)),
        None => Err(forms("seeds")),
    }
}

fn design(kind: &str, text: &str) -> Result<Design> {
    let said: Conditions = match text.is_empty() {
        true => Vec::new(),
        false => conditions(text)?,
    };
    let wrong = || forms(&format!("design {kind}"));
    let get = |name: &str| {
        said.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let number = |name: &str| match get(name) {
        Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
        None => Ok(None),
    };
    let only = |known: &[&str]| match said.iter().all(|(key, _)| known.contains(&key.as_str())) {
        true => Ok(()),
        false => Err(wrong()),
    };
    match kind {
        "full" => only(&[]).map(|()| Design::Full),
        "one-factor" => Ok(Design::OneFactor { around: said }),
        "fractional" => {
            only(&["fraction", "generators"])?;
            let words = match get("generators") {
                Some(Value::Array(words)) => words
                    .iter()
                    .map(|word| Some(word.as_str()?.to_owned()))
                    .collect(),
                Some(_) => None,
                None => Some(Vec::new()),
            };
            let generators: Vec<String> = words.ok_or_else(wrong)?;
            // So many generators, such a fraction.
            let implied = (1..64)
                .contains(&generators.len())
                .then(|| 1 << generators.len());
            Ok(Design::Fractional {
                fraction: number("fraction")?.or(implied).ok_or_else(wrong)?,
                generators,
            })
        }
        "random" | "latin-hypercube" => {
            only(&["count", "seed"])?;
            let count = number("count")?.ok_or_else(wrong)?;
            let count = usize::try_from(count).map_err(|_| wrong())?;
            let seed = number("seed")?.unwrap_or(0);
            Ok(match kind {
                "random" => Design::Random { count, seed },
                _ => Design::LatinHypercube { count, seed },
            })
        }
        _ => Err(forms("design")),
    }
}

fn report(text: &str) -> Result<Edit> {
    let (metric, rest) = key(text)?;
    let (mut title, mut rows, mut columns) = (None, None, None);
    for (name, value) in values::pairs(rest)? {
        let place = match name {
            "title" => &mut title,
            "rows" => &mut rows,
            "columns" => &mut columns,
            _ => return Err(forms("report add")),
        };
        *place = match values::parse_one(value)? {
            Value::String(text) => Some(text),
            _ => Some(value.to_owned()),
        };
    }
    Ok(Edit::AddReport {
        title,
        rows,
        columns,
        metric,
    })
}

/// A question as it is typed, with or without quotes around it.
fn verbatim(text: &str) -> String {
    let inner = text.starts_with('"').then(|| values::parse_one(text));
    match inner {
        Some(Ok(Value::String(inner))) => inner,
        _ => text.to_owned(),
    }
}

/// A key as a word.
fn shown(key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    if !key.is_empty() && key.chars().all(plain) {
        key.to_owned()
    } else {
        quoted(key)
    }
}
