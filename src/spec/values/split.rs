//! Text cut at commas or spaces, but not inside quotes and brackets.

use super::ValuesError;

/// The items of a list, trimmed; a comma at the end is no mistake.
pub fn items(text: &str) -> Result<Vec<&str>, ValuesError> {
    let mut items = split(text, |c| c == ',')?;
    if items.last().is_some_and(|last| last.is_empty()) {
        items.pop();
    }
    if items.iter().any(|item| item.is_empty()) {
        return Err(ValuesError::new(text, "has nothing between two commas"));
    }
    Ok(items)
}

/// What stands between the `cut`s, trimmed, without what is empty: words at spaces, or columns at semicolons.
pub fn parts(text: &str, cut: impl Fn(char) -> bool) -> Result<Vec<&str>, ValuesError> {
    let mut parts = split(text, cut)?;
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// `KEY=VALUE` words, with or without spaces around the sign.
pub fn pairs(text: &str) -> Result<Vec<(&str, &str)>, ValuesError> {
    let wrong = |part: &str| ValuesError::new(part, "is not KEY=VALUE");
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let at = top_level(rest, |c| c == '=')?
            .next()
            .ok_or_else(|| wrong(rest))?;
        let (key, value) = (rest[..at].trim(), rest[at + 1..].trim_start());
        let end = top_level(value, char::is_whitespace)?
            .next()
            .unwrap_or(value.len());
        if key.is_empty() || key.contains(char::is_whitespace) || end == 0 {
            return Err(wrong(rest));
        }
        pairs.push((key, &value[..end]));
        rest = value[end..].trim_start();
    }
    Ok(pairs)
}

fn split(text: &str, cut: impl Fn(char) -> bool) -> Result<Vec<&str>, ValuesError> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in top_level(text, &cut)? {
        parts.push(text[start..at].trim());
        start = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    parts.push(text[start..].trim());
    Ok(parts)
}

/// Where characters that are `wanted` stand outside all quotes and brackets.
fn top_level(
    text: &str,
    wanted: impl Fn(char) -> bool,
) -> Result<impl Iterator<Item = usize>, ValuesError> {
    let mut found = Vec::new();
    let mut open: Vec<char> = Vec::new();
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '[' => open.push(']'),
                '{' => open.push('}'),
                ']' | '}' if open.pop() != Some(c) => {
                    return Err(ValuesError::new(text, format!("has a `{c}` too many")));
                }
                c if open.is_empty() && wanted(c) => found.push(at),
                _ => {}
            },
        }
    }
    match quote.or(open.pop()) {
        Some(missing) => Err(ValuesError::new(
            text,
            format!("lacks the closing `{missing}`"),
        )),
        None => Ok(found.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_brackets_hold_together() {
        assert_eq!(
            items("a, \"b, \\\" c\", [1, 2], { x = 'y, z' },").unwrap(),
            ["a", "\"b, \\\" c\"", "[1, 2]", "{ x = 'y, z' }"]
        );
        assert_eq!(
            parts("  zip a\t\"b c\" ", char::is_whitespace).unwrap(),
            ["zip", "a", "\"b c\""]
        );
        assert!(items("[1}").is_err() && items("1]").is_err());
    }

    #[test]
    fn pairs_may_have_spaces_around_the_sign() {
        assert_eq!(
            pairs("a.b=1 \"c.d\" = { from = \"x y\" }  e= softmax").unwrap(),
            [
                ("a.b", "1"),
                ("\"c.d\"", "{ from = \"x y\" }"),
                ("e", "softmax")
            ]
        );
        assert_eq!(pairs("").unwrap(), []);
        for wrong in ["a", "a=1 b", "=1", "a=", "a b=1"] {
            assert!(pairs(wrong).is_err(), "{wrong}");
        }
    }
}
