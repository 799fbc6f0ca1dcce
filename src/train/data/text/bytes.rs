//! Text as its UTF-8 bytes, with ByT5's ids: padding 0, end 1, unknown 2, then the 256 bytes. Nothing is ever unknown.

/// Number of ids.
pub const SIZE: usize = FIRST_BYTE as usize + 256;
/// Ends a text and fills the rest of its context.
pub const END: i32 = 1;
const FIRST_BYTE: i32 = 3;

pub fn ids(text: &str) -> impl Iterator<Item = i32> {
    text.bytes().map(|byte| FIRST_BYTE + i32::from(byte))
}

/// The ids that stand for text.
pub fn plain() -> std::ops::Range<i32> {
    FIRST_BYTE..SIZE as i32
}
