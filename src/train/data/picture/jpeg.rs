//! What the markers of a JPEG file say before it is decoded (ITU-T T.81, annex B). The decoder fills what is missing of
//! a file that was cut with grey; whoever trains on it wants to know.

use super::Fault;

/// The frame that a file announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its coefficients are held for all scans, two bytes each.
    pub progressive: bool,
    pub components: u8,
}

/// The frame of a file that goes on to its end of image.
///
/// # Errors
/// [`Fault::CutImage`] when it does not, [`Fault::BrokenImage`] when the markers are none.
pub fn inspect(bytes: &[u8]) -> Result<Frame, Fault> {
    let mut rest = bytes
        .strip_prefix(&[0xFF, 0xD8])
        .ok_or(Fault::BrokenImage)?;
    let mut frame = None;
    loop {
        // Any number of FF may fill the place before a marker.
        let at = rest.iter().position(|&byte| byte == 0xFF);
        rest = &rest[at.ok_or(Fault::CutImage)?..];
        let marker = *rest
            .iter()
            .find(|&&byte| byte != 0xFF)
            .ok_or(Fault::CutImage)?;
        let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        rest = &rest[fill + 1..];
        match marker {
            0xD9 => return Err(Fault::BrokenImage), // an end before any scan
            0x00 | 0x01 | 0xD0..=0xD8 => continue,  // no segment follows
            _ => {}
        }
        let (length, _) = rest.split_first_chunk().ok_or(Fault::CutImage)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = rest.get(2..length).ok_or(match length < 2 {
            true => Fault::BrokenImage,
            false => Fault::CutImage,
        })?;
        rest = &rest[length..];
        match marker {
            // Start of frame, but for the three markers among them that are tables.
            0xC0..=0xCF if ![0xC4, 0xC8, 0xCC].contains(&marker) => {
                let components = *segment.get(5).ok_or(Fault::BrokenImage)?;
                let progressive = [0xC2, 0xC6, 0xCA, 0xCE].contains(&marker);
                frame = Some(Frame {
                    progressive,
                    components,
                });
            }
            0xDA => break,
            _ => {}
        }
    }
    // In the data of a scan FF is followed by 0 or a restart marker: this pair is the end.
    let ends = rest.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]);
    match (frame, ends) {
        (Some(frame), true) => Ok(frame),
        (Some(_), false) => Err(Fault::CutImage),
        (None, _) => Err(Fault::BrokenImage),
    }
}
