//! The values of a list replaced in its text: those that stay keep their notation and their comments.

use serde_json::Value;
use toml_edit::Array;

use crate::spec::source;
use crate::spec::values::to_toml;

/// One value of a list as it is written.
struct Element {
    value: Option<Value>,
    text: String,
    /// Comments on lines of their own in front of it.
    lead: Vec<String>,
    /// The comment behind it.
    tail: String,
}

/// `old`, a TOML list, with other values.
pub fn with_values(old: &str, values: &[Value]) -> String {
    let Ok(toml_edit::Value::Array(array)) = old.parse() else {
        return fresh(values);
    };
    let (before, closing) = read(&array);
    if before
        .iter()
        .map(|element| element.value.as_ref())
        .eq(values.iter().map(Some))
    {
        return old.to_owned();
    }
    // A value that only changes keeps the comments of its place.
    let same_length = before.len() == values.len();
    let mut before: Vec<Option<Element>> = before.into_iter().map(Some).collect();
    let is = |value: &Value, element: &Option<Element>| {
        let element = element.as_ref();
        element.is_some_and(|element| element.value.as_ref() == Some(value))
    };
    let kept: Vec<Option<Element>> = values
        .iter()
        .map(|value| {
            let index = before.iter().position(|element| is(value, element))?;
            before[index].take()
        })
        .collect();
    let new = |(index, (value, kept)): (usize, (&Value, Option<Element>))| {
        kept.unwrap_or_else(|| {
            let place = before.get_mut(index).filter(|_| same_length);
            let (lead, tail) = place
                .and_then(Option::take)
                .map_or_else(Default::default, |element| (element.lead, element.tail));
            Element {
                value: None,
                text: to_toml(value),
                lead,
                tail,
            }
        })
    };
    let after: Vec<Element> = values.iter().zip(kept).enumerate().map(new).collect();
    if old.contains('\n') {
        lines(old, &after, &closing)
    } else {
        let texts: Vec<&str> = after.iter().map(|element| element.text.as_str()).collect();
        format!("[{}]", texts.join(", "))
    }
}

/// A list on one line.
pub fn fresh(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(to_toml).collect();
    format!("[{}]", texts.join(", "))
}

/// A value a line, with the indentation of the first.
fn lines(old: &str, elements: &[Element], closing: &[String]) -> String {
    let indents = old.lines().skip(1);
    let indent = indents
        .map(|line| &line[..line.len() - line.trim_start().len()])
        .next()
        .filter(|indent| !indent.is_empty())
        .unwrap_or("  ");
    let mut text = String::from("[\n");
    for element in elements {
        for comment in &element.lead {
            text += &format!("{indent}{comment}\n");
        }
        let gap = if element.tail.is_empty() { "" } else { " " };
        text += &format!("{indent}{},{gap}{}\n", element.text, element.tail);
    }
    for comment in closing {
        text += &format!("{indent}{comment}\n");
    }
    let last = old.rsplit('\n').next().unwrap_or_default();
    text + &last[..last.len() - last.trim_start().len()] + "]"
}

/// The elements with their comments, and the comments behind them all.
fn read(array: &Array) -> (Vec<Element>, Vec<String>) {
    let mut elements: Vec<Element> = Vec::new();
    let mut lead = Vec::new();
    for value in array {
        let decor = value.decor();
        let part = |part: Option<&toml_edit::RawString>| {
            part.and_then(|raw| raw.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        take_comments(&part(decor.prefix()), elements.last_mut(), &mut lead);
        let mut bare = value.clone();
        bare.decor_mut().clear();
        let text = bare.to_string().trim().to_owned();
        elements.push(Element {
            value: source::parse_value("", &text).ok().flatten(),
            text,
            lead: std::mem::take(&mut lead),
            tail: String::new(),
        });
        take_comments(&part(decor.suffix()), elements.last_mut(), &mut lead);
    }
    let trailing = array.trailing().as_str().unwrap_or_default();
    take_comments(trailing, elements.last_mut(), &mut lead);
    (elements, lead)
}

/// A comment on the line of the element before is its own, others belong to what comes next.
fn take_comments(gap: &str, before: Option<&mut Element>, lead: &mut Vec<String>) {
    let mut lines = gap.split('\n').map(str::trim);
    let first = lines.next().filter(|first| first.starts_with('#'));
    match (first, before) {
        (Some(comment), Some(before)) if before.tail.is_empty() => {
            before.tail = comment.to_owned();
        }
        (Some(comment), _) => lead.push(comment.to_owned()),
        (None, _) => {}
    }
    let others = lines.filter(|line| line.starts_with('#'));
    lead.extend(others.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(old: &str, values: Value) -> String {
        with_values(old, values.as_array().unwrap())
    }

    #[test]
    fn values_that_stay_keep_their_notation() {
        assert_eq!(
            with("[1e-3, 0.000_3]", json!([3e-4, 1e-3, 0.01])),
            "[0.000_3, 1e-3, 0.01]"
        );
        assert_eq!(with("[ 1,2 ]", json!([1, 2])), "[ 1,2 ]");
        assert_eq!(
            with("['a', { from = \"p\" }]", json!([{"from": "p"}, "b"])),
            "[{ from = \"p\" }, \"b\"]"
        );
    }

    #[test]
    fn values_that_stay_keep_their_comments() {
        let old = "[ # of the paper
    # small
    16, # fits
    32 # tight
    ,
    64, # does not
    # the end
  ]";
        assert_eq!(with(old, json!([16, 32, 64])), old);
        insta::assert_snapshot!(with(old, json!([64, 8, 16])), @r"
        [
            64, # does not
            8, # tight
            # of the paper
            # small
            16, # fits
            # the end
          ]
        ");
    }
}
