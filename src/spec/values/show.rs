//! Values as text: as a person types them, and as a file has them.

use serde_json::Value;

use super::{is_word, parse};

/// `values` as [`parse`] reads them: words without quotes where they need none.
pub fn show(values: &[Value]) -> String {
    let shown: Vec<String> = values.iter().map(show_one).collect();
    // A lone list would be taken for the brackets around all.
    match values {
        [Value::Array(_)] => format!("[{}]", shown[0]),
        _ => shown.join(", "),
    }
}

/// One value as [`super::parse_one`] reads it.
pub fn show_one(value: &Value) -> String {
    match value {
        Value::String(text)
            if is_word(text) && parse(text).is_ok_and(|read| read == [value.clone()]) =>
        {
            text.clone()
        }
        other => to_toml(other),
    }
}

/// A value as TOML, on one line.
pub fn to_toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(to_toml).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(table) if table.is_empty() => "{}".into(),
        Value::Object(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{} = {}", segment(key), to_toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Text in double quotes. JSON escapes what TOML does, but for one character.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// One segment of a key.
pub fn segment(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// The shorter of the two notations: `1e-4`, `0.95`.
fn float(x: f64) -> String {
    let plain = x.to_string();
    let scientific = format!("{x:e}");
    // A whole number without an exponent would be an integer, which it is not beyond 2^53.
    let whole = x.fract() == 0.0 && x.abs() > 1e15;
    if !whole && plain.len() <= scientific.len() {
        plain
    } else {
        scientific
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_one_would_type_them() {
        let shown = |value: Value| show_one(&value);
        assert_eq!(shown(json!("sigmoid")), "sigmoid");
        assert_eq!(shown(json!("a b")), "\"a b\"");
        assert_eq!(
            [json!("true"), json!("1"), json!("1..2"), json!("")].map(shown),
            ["\"true\"", "\"1\"", "\"1..2\"", "\"\""],
            "text that would be read as something else keeps its quotes"
        );
        assert_eq!(
            [
                json!(1e-4),
                json!(0.95),
                json!(3.162e-4),
                json!(10.0),
                json!(-10)
            ]
            .map(shown),
            ["1e-4", "0.95", "3.162e-4", "10", "-10"]
        );
        assert_eq!(
            shown(json!({"from": "pretrained", "a b": [1, "x"]})),
            "{ from = \"pretrained\", \"a b\" = [1, \"x\"] }"
        );
        assert_eq!(show(&[json!(16), json!("x"), json!([1])]), "16, x, [1]");
        assert_eq!(show(&[json!([1])]), "[[1]]");
        assert_eq!(to_toml(&json!("sigmoid")), "\"sigmoid\"");
        assert_eq!(to_toml(&json!("\u{7f}\n\"")), "\"\\u007f\\n\\\"\"");
    }
}
