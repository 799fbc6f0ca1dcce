//! The header of a numpy array as far as it is safe to show to the library that parses it: that one takes time without end
//! for a nest of braces, and multiplies numbers that overflow.

use std::io::Read;

/// numpy writes 64 to a few hundred bytes.
const MOST_HEADER_BYTES: usize = 4096;

/// The bytes of an array up to its values, if they look like numpy's.
///
/// # Errors
/// In words, to follow the array's name: what is cut off, long, nested, or overflows.
pub fn header(file: &mut impl Read) -> Result<Vec<u8>, String> {
    let short = |e: std::io::Error| format!("is no npy array: {e}");
    let mut text = vec![0; 10];
    file.read_exact(&mut text).map_err(short)?;
    let [major, low, high] = [text[6], text[8], text[9]];
    let mut length = usize::from(u16::from_le_bytes([low, high]));
    if major >= 2 {
        let mut rest = [0; 2];
        file.read_exact(&mut rest).map_err(short)?;
        text.extend(rest);
        length |= usize::from(u16::from_le_bytes(rest)) << 16;
    }
    if length > MOST_HEADER_BYTES {
        return Err(format!(
            "claims a header of {length} bytes, more than {MOST_HEADER_BYTES}"
        ));
    }
    let start = text.len();
    text.resize(start + length, 0);
    file.read_exact(&mut text[start..]).map_err(short)?;
    let (mut depth, mut product) = (0_usize, 1_u64);
    let header = String::from_utf8_lossy(&text[start..]);
    for c in header.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 3 {
            return Err("has a nested header, which numpy never writes for numbers".into());
        }
    }
    for digits in header.split(|c: char| !c.is_ascii_digit()) {
        if digits.is_empty() {
            continue;
        }
        let number = digits.parse::<u64>().unwrap_or(u64::MAX).max(1);
        product = match product.checked_mul(number) {
            Some(product) if product < 1 << 48 => product,
            _ => return Err("claims to be larger than any file".into()),
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Vec<u8> {
        let length = (text.len() as u16).to_le_bytes();
        [
            b"\x93NUMPY\x01\x00".as_slice(),
            &length,
            text.as_bytes(),
            b"values",
        ]
        .concat()
    }

    #[test]
    fn a_header_is_handed_on_and_a_nest_is_not() {
        let good = file("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }\n");
        let text = header(&mut good.as_slice()).unwrap();
        assert_eq!(text, good[..good.len() - 6]);
        for (text, said) in [
            ("{".repeat(60), "nested"),
            ("(9999999999, 9999999999)".into(), "larger than any file"),
            (" ".repeat(5_000), "a header of 5000 bytes"),
        ] {
            let problem = header(&mut file(&text).as_slice()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        assert!(
            header(&mut b"\x93NUMPY".as_slice())
                .unwrap_err()
                .contains("no npy array")
        );
    }
}
