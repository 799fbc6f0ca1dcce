//! The framing of TensorFlow's record files: each record between its length and checksums, CRC-32C masked so that a
//! checksum of data that hold checksums is none of a kind.

use std::io::{self, Write};

use super::event::Event;

/// A file of framed records.
pub struct Framed<W: Write> {
    out: W,
}

impl<W: Write> Framed<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let data = event.bytes();
        let length = (data.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked(crc32c(&length)).to_le_bytes())?;
        self.out.write_all(data)?;
        self.out.write_all(&masked(crc32c(data)).to_le_bytes())
    }

    pub fn flush(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The remainder of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    !data.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        let found = [&[0; 32][..], &[0xff; 32], &rising, &falling, b"123456789"].map(crc32c);
        assert_eq!(
            found,
            [
                0x8a91_36aa,
                0x62a8_ab43,
                0x46dd_794e,
                0x113f_db5c,
                0xe306_9283
            ]
        );
    }

    /// `tensorboard.compat.tensorflow_stub.pywrap_tensorflow.masked_crc32c(b"\x18" + 7 * b"\0")`.
    #[test]
    fn the_mask_is_tensorflows() {
        assert_eq!(masked(crc32c(&24u64.to_le_bytes())), 0x224b_7fa3);
    }
}
