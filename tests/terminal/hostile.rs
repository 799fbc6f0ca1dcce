//! Strings that were made to drive a terminal, and what tells whether one of them did.

/// Stands in every sequence below and in none that siglab writes.
const OURS: &str = "6789";

/// Three hundred and more: all controls, sequences with and without an end, what turns the direction of writing, what
/// is wide, and bytes that are no UTF-8.
pub fn strings() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut add = |text: String| all.push(text.into_bytes());
    for code in (0..0x20).chain(0x7f..0xa0) {
        let c = char::from_u32(code).unwrap();
        add(format!("{c}"));
        add(format!("a{c}b{c}"));
    }
    for end in "ABCDEFGHIJKLMPSTXZ@`abcdefghlmnpqrstuvwxyz".chars() {
        add(format!("\x1b[{OURS}{end}"));
        add(format!("\u{9b}{OURS};1{end}"));
    }
    for private in ["?1049", "?25", "?1000", "?2004", ">4;2", "=1", "!"] {
        for end in "hlpm".chars() {
            add(format!("\x1b[{private};{OURS}{end}"));
        }
    }
    for command in [
        "0;title",
        "2;title",
        "8;;http://x",
        "9;note",
        "10;?",
        "52;c;aGVsbG8=",
        "1337;File=:",
        "4;1;?",
    ] {
        for end in ["\x07", "\x1b\\", "\u{9c}", ""] {
            add(format!("\x1b]{command}{OURS}{end}x"));
        }
        add(format!("\u{9d}{command}{OURS}\u{9c}"));
    }
    for opens in ['P', 'X', '^', '_'] {
        add(format!("\x1b{opens}{OURS}q#0;2;0;0;0\x1b\\"));
        add(format!("\x1b{opens}{OURS}"));
    }
    for short in [
        "c", "7", "8", "D", "E", "M", "N", "O", "Z", "(0", ")B", "#8", "%G", "=", ">", "n", "|",
        "6", " F",
    ] {
        add(format!("x\x1b{short}y"));
    }
    for turn in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}".chars() {
        add(format!("{turn}evil"));
        add(format!("user{turn}txt.exe"));
    }
    for wide in [
        "日本語の長い名前",
        "👩‍👩‍👧‍👦👍🏽🇩🇪",
        "e\u{301}\u{301}\u{301}\u{301}",
        "\u{200b}\u{200c}\u{200d}\u{feff}",
        "ﷺ",
        "עברית",
        "\u{fffd}",
        "\u{10ffff}",
        "ａｂｃ",
        "\u{ad}\u{34f}",
    ] {
        add(wide.into());
        add(wide.repeat(60));
    }
    for spoof in [
        "a\rb",
        "a\nerror: b",
        "a\r\nb",
        "a\tb",
        "\n\n\n",
        "\u{8}\u{8}\u{8}x",
        "$(reboot)",
        "`reboot`",
        "; reboot",
        "-rf",
        "--help",
        "%s%n",
        "'\"\\",
        "=1+2",
        "@SUM(A1)",
    ] {
        add(spoof.into());
    }
    for broken in [
        &b"\xff\xfe"[..],
        b"\xc0\x9b6789m",
        b"\xe0\x80\x9b",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x9b6789m",
        b"\x90q\x9c",
        b"\xc2",
        b"a\xf0\x9f\x98",
        b"\x80\x81\x82",
    ] {
        all.push(broken.to_vec());
        all.push([broken, b"\x1b[6789m"].concat());
    }
    assert!(all.len() >= 300, "{}", all.len());
    all
}

/// What in `written` can drive a terminal: all that does if `plain`, else what siglab itself does not write to draw.
pub fn drives(written: &[u8], plain: bool) -> Option<String> {
    let text = match std::str::from_utf8(written) {
        Ok(text) => text,
        Err(e) => return Some(format!("no UTF-8 at byte {}", e.valid_up_to())),
    };
    let mut rest = text.chars();
    let mut before = String::new();
    while let Some(c) = rest.next() {
        let found = match c {
            '\x1b' if !plain => {
                let sequence: String = sequence(&mut rest);
                let ours = sequence.starts_with('[') && !sequence.contains(OURS);
                (!ours).then(|| format!("ESC {sequence}"))
            }
            '\r' | '\n' | '\t' => None,
            c if c.is_control() => Some(format!("{c:?}")),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => Some(format!("{c:?}")),
            _ => None,
        };
        if let Some(found) = found {
            let tail: String = before
                .chars()
                .rev()
                .take(60)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect();
            return Some(format!("{found} after {tail:?}"));
        }
        before.push(c);
    }
    None
}

/// The rest of an escape sequence: up to its final byte if it is a CSI one.
fn sequence(rest: &mut std::str::Chars) -> String {
    let mut sequence: String = rest.next().into_iter().collect();
    if sequence == "[" {
        for c in rest.by_ref() {
            sequence.push(c);
            if ('@'..='~').contains(&c) {
                break;
            }
        }
    }
    sequence
}
