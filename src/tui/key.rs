//! Keys by name, as help shows them, `--keys` takes them and tests press them: `j`, `G`, `<C-r>`, `<Enter>`, `<S-Tab>`.
//! What a key does is the table of actions' affair.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key as it was pressed. Shift is part of the character (`G`, `?`) and told apart only for keys without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub code: KeyCode,
    pub control: bool,
}

const NAMED: [(&str, KeyCode); 17] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("S-Tab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    // In a text of keys `<` opens a name.
    ("lt", KeyCode::Char('<')),
    ("F1", KeyCode::F(1)),
];

impl Key {
    pub const fn char(c: char) -> Self {
        Self {
            code: KeyCode::Char(c),
            control: false,
        }
    }

    pub const fn code(code: KeyCode) -> Self {
        Self {
            code,
            control: false,
        }
    }

    /// The key of one name, as in `<C-r>` without the brackets, or of one character.
    pub fn named(name: &str) -> Option<Self> {
        let mut characters = name.chars();
        if let (Some(c), None) = (characters.next(), characters.next()) {
            return Some(Self::char(c));
        }
        if let Some(rest) = name.strip_prefix("C-") {
            return Self::named(rest).map(|key| Self {
                control: true,
                ..key
            });
        }
        let known = NAMED.iter().find(|(known, _)| *known == name);
        known.map(|(_, code)| Self::code(*code))
    }

    /// A text of keys: characters, and names in angle brackets.
    ///
    /// # Errors
    /// The name that is no key's.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '<' {
                keys.push(Self::char(c));
                continue;
            }
            let (name, after) = rest
                .split_once('>')
                .ok_or_else(|| format!("`<{rest}` lacks its `>`; a `<` itself is `<lt>`"))?;
            keys.push(Self::named(name).ok_or_else(|| {
                let known: Vec<&str> = NAMED.iter().map(|(known, _)| *known).collect();
                format!(
                    "`<{name}>` is no key; there are {}, and C-x",
                    known.join(", ")
                )
            })?);
            rest = after;
        }
        Ok(keys)
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self {
            code: event.code,
            control: event.modifiers.contains(KeyModifiers::CONTROL),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("C-")?;
        }
        match self.code {
            KeyCode::Char(c) if c != ' ' => write!(f, "{c}"),
            code => match NAMED.iter().find(|(_, known)| *known == code) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "{code}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_keys_reads_as_it_is_shown() {
        let keys = Key::parse_all("gG <C-r><Enter><lt>").unwrap();
        let shown: Vec<String> = keys.iter().map(Key::to_string).collect();
        assert_eq!(shown, ["g", "G", "Space", "C-r", "Enter", "<"]);
        assert!(Key::parse_all("<Hyper>").unwrap_err().contains("PgDn"));
        assert!(Key::parse_all("<Enter").is_err());
    }
}
