//! What things look like: sixteen named colours, more only where the terminal says that it has them, none with
//! NO_COLOR; and signs, in Braille and lines or in plain ASCII. Colour never says what a sign or a word does not.

use ratatui::style::{Color, Modifier, Style};

use super::widget::chart::Glyphs;
use crate::store::RunState;

/// How much colour the terminal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    None,
    Sixteen,
    Rgb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub colours: Colours,
    pub glyphs: Glyphs,
}

/// What a piece of the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// Headings and the names of things.
    Title,
    /// What may be overlooked.
    Dim,
    /// Where the focus is.
    Accent,
    Good,
    Warn,
    Bad,
    /// The line under the cursor.
    Cursor,
    /// A key that does something.
    Key,
}

/// Colours of curves: told apart by the colour-blind (after Okabe and Ito), and with a letter each in any case.
const CURVES: [(u8, u8, u8); 8] = [
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (200, 200, 200),
];
const CURVES_16: [Color; 8] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::LightYellow,
    Color::LightBlue,
    Color::Red,
    Color::White,
];

impl Theme {
    /// As the environment has it: NO_COLOR, COLORTERM, TERM.
    pub fn of_environment(ascii: bool, environment: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let colours = if set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb") {
            Colours::None
        } else if matches!(set("COLORTERM").as_deref(), Some("truecolor" | "24bit")) {
            Colours::Rgb
        } else {
            Colours::Sixteen
        };
        // The console of the kernel has no Braille.
        let bare = set("TERM").as_deref() == Some("linux");
        let glyphs = if ascii || bare {
            Glyphs::Ascii
        } else {
            Glyphs::Braille
        };
        Self { colours, glyphs }
    }

    pub fn ascii(self) -> bool {
        self.glyphs == Glyphs::Ascii
    }

    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        if self.colours == Colours::None {
            return match role {
                Role::Plain | Role::Good => plain,
                Role::Dim => plain.add_modifier(Modifier::DIM),
                Role::Cursor => plain.add_modifier(Modifier::REVERSED),
                Role::Title | Role::Accent | Role::Key | Role::Warn => bold,
                Role::Bad => bold.add_modifier(Modifier::UNDERLINED),
            };
        }
        match role {
            Role::Plain => plain,
            Role::Title => bold,
            Role::Dim => plain.fg(Color::DarkGray),
            Role::Accent => bold.fg(Color::Cyan),
            Role::Good => plain.fg(Color::Green),
            Role::Warn => plain.fg(Color::Yellow),
            Role::Bad => bold.fg(Color::Red),
            // One bar, whatever the colours of the words in it.
            Role::Cursor => plain
                .fg(Color::Reset)
                .remove_modifier(Modifier::DIM)
                .add_modifier(Modifier::REVERSED),
            Role::Key => plain.fg(Color::Cyan),
        }
    }

    /// The style of curve number `n`.
    pub fn curve(self, n: usize) -> Style {
        match self.colours {
            Colours::None => Style::new(),
            Colours::Sixteen => Style::new().fg(CURVES_16[n % CURVES_16.len()]),
            Colours::Rgb => {
                let (r, g, b) = CURVES[n % CURVES.len()];
                Style::new().fg(Color::Rgb(r, g, b))
            }
        }
    }

    /// `unicode`, or `plain` where only ASCII is drawn.
    pub fn sign<'a>(self, unicode: &'a str, plain: &'a str) -> &'a str {
        if self.ascii() { plain } else { unicode }
    }

    /// A run's state as a sign and its look; the word stands beside it or in the legend.
    pub fn state(self, state: &RunState) -> (&'static str, Style) {
        let (unicode, plain, role) = match state {
            RunState::New => ("○", "o", Role::Plain),
            RunState::Running => ("▶", ">", Role::Accent),
            RunState::Stopped => ("■", "s", Role::Warn),
            RunState::Interrupted { .. } => ("▲", "i", Role::Warn),
            RunState::Completed => ("●", "#", Role::Good),
            RunState::Diverged { .. } => ("✖", "x", Role::Bad),
            RunState::Failed { .. } => ("✗", "!", Role::Bad),
        };
        (self.sign(unicode, plain), self.style(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(variables: &[(&str, &str)]) -> Theme {
        Theme::of_environment(false, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_follow_the_environment() {
        assert_eq!(theme(&[("TERM", "xterm")]).colours, Colours::Sixteen);
        assert_eq!(theme(&[("COLORTERM", "truecolor")]).colours, Colours::Rgb);
        let off = theme(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]);
        assert_eq!(off.colours, Colours::None);
        assert_eq!(off.curve(3), Style::new());
        assert_eq!(theme(&[("NO_COLOR", "")]).colours, Colours::Sixteen);
    }

    #[test]
    fn every_state_has_a_sign_of_its_own_without_colour() {
        let reason = String::new;
        let states = [
            RunState::New,
            RunState::Running,
            RunState::Stopped,
            RunState::Interrupted { cause: None },
            RunState::Completed,
            RunState::Diverged {
                step: 0,
                reason: reason(),
            },
            RunState::Failed { reason: reason() },
        ];
        for ascii in [false, true] {
            let theme = Theme::of_environment(ascii, |_| None);
            let mut signs: Vec<&str> = states.iter().map(|state| theme.state(state).0).collect();
            signs.sort_unstable();
            signs.dedup();
            assert_eq!(signs.len(), states.len());
        }
    }
}
