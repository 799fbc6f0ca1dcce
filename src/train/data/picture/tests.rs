//! Decoding and resizing beside what PIL and torchvision make of the same files, and files that are made to do harm.

use std::fs;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::decode::{MOST_BYTES, MOST_PIXELS};
use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pictures")
        .join(name)
}

fn array(name: &str) -> (Vec<u64>, Vec<u8>) {
    let file = npyz::NpyFile::new(fs::File::open(fixture(name)).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

/// The greatest difference, and the mean of all.
fn apart(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = apart.clone().map(f64::from).sum();
    (apart.max().unwrap_or(0), sum / a.len() as f64)
}

fn decoded(name: &str) -> Picture {
    decode(&fs::read(fixture(name)).unwrap()).unwrap()
}

#[test]
fn files_decode_to_what_pil_makes_of_them() {
    let exact = [
        "rgb.png",
        "rgba.png",
        "grey.png",
        "grey_alpha.png",
        "palette.png",
        "palette_clear.png",
        "bits.png",
        "rgb16.png",
        "lossless.webp",
        "moving.webp",
    ];
    // Decoders of these formats may round otherwise, by the letter of their standards: the greatest difference that there
    // may be, and the mean.
    let close = [
        ("photo.jpg", 6, 0.6),
        ("fine.jpg", 3, 0.5),
        ("progressive.jpg", 6, 0.6),
        ("grey.jpg", 2, 0.5),
        ("cmyk.jpg", 6, 0.8),
        ("turned.jpg", 6, 0.6),
        ("lossy.webp", 3, 0.5),
    ];
    let exact = exact.into_iter().map(|name| (name, 0, 0.0));
    for (name, most, mean) in exact.chain(close) {
        let picture = decoded(name);
        let (shape, rgb) = array(&format!("{name}.rgb.npy"));
        assert_eq!(
            shape,
            [picture.height.into(), picture.width.into(), 3],
            "{name}"
        );
        let found = apart(&picture.rgb, &rgb);
        assert!(found.0 <= most && found.1 <= mean, "{name}: {found:?}");
    }
}

/// PIL cuts values of grey above 255 off, which leaves nearly white of everything; the higher byte is what it takes of
/// colour.
#[test]
fn grey_of_16_bits_loses_the_lower_byte() {
    let picture = decoded("grey16.png");
    let bytes = fs::read(fixture("grey16.png")).unwrap();
    let decoder = image::load_from_memory(&bytes).unwrap().into_luma16();
    let high = decoder.pixels().map(|pixel| (pixel.0[0] >> 8) as u8);
    assert!(
        picture
            .rgb
            .as_chunks::<3>()
            .0
            .iter()
            .map(|rgb| rgb[1])
            .eq(high)
    );
}

#[test]
fn squares_are_pils_and_torchvisions_to_within_a_level() {
    let like = |resize, filter| Preparation {
        size: 24,
        resize,
        filter,
        augment: Augment::None,
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    for name in ["rgb.png", "rgba.png"] {
        let picture = decoded(name);
        for (kind, preparation) in [
            ("squash", like(Resize::Squash, Filter::Bicubic)),
            ("bilinear", like(Resize::Squash, Filter::Bilinear)),
            ("crop", like(Resize::Crop, Filter::Bicubic)),
            (
                "larger",
                Preparation {
                    size: 90,
                    ..like(Resize::Squash, Filter::Bicubic)
                },
            ),
        ] {
            let (_, expected) = array(&format!("{name}.{kind}.npy"));
            let found = apart(&preparation.square(&picture).unwrap(), &expected);
            let most = if kind == "larger" { 2 } else { 1 };
            assert!(found.0 <= most && found.1 < 0.2, "{name} {kind}: {found:?}");
        }
    }
}

#[test]
fn values_are_normalised_by_channel() {
    let preparation = Preparation {
        size: 1,
        resize: Resize::Squash,
        filter: Filter::Bicubic,
        augment: Augment::None,
        mean: [0.5, 0.0, 0.25],
        std: [0.5, 1.0, 0.25],
    };
    let values: Vec<f32> = preparation.normalise(&[0, 255, 51, 255, 0, 255]).collect();
    assert_eq!(values, [-1.0, 1.0, -0.2, 1.0, 0.0, 3.0]);
}

#[test]
fn random_parts_lie_inside_and_are_as_large_as_asked() {
    let picture = |width, height| Picture {
        width,
        height,
        rgb: Vec::new(),
    };
    let mut areas = 0.0;
    for n in 0..2_000 {
        let picture = picture(640, 480);
        let region = Region::random(&picture, 0.5, &mut Chance::new(&[n]));
        assert!(region.left + region.width <= 640 && region.top + region.height <= 480);
        let share = f64::from(region.width * region.height) / (640.0 * 480.0);
        let ratio = f64::from(region.width) / f64::from(region.height);
        assert!(
            (0.495..=1.0).contains(&share) && (0.74..1.35).contains(&ratio),
            "{region:?}"
        );
        areas += share / 2_000.0;
    }
    assert!((0.65..0.78).contains(&areas), "{areas}");
    // No part of these has the ratio: the middle is taken.
    let thin = Region::random(&picture(1_000, 10), 0.9, &mut Chance::new(&[0]));
    assert_eq!((thin.width, thin.height, thin.left), (13, 10, 493));
    let dot = Region::random(&picture(1, 1), 0.1, &mut Chance::new(&[0]));
    assert_eq!((dot.width, dot.height), (1, 1));
}

/// A PNG of one chunk of data that says it is of this size.
fn png(width: u32, height: u32, [bits, colour]: [u8; 2], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        bytes.extend(&body);
        bytes.extend(crc(&body).to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(
        b"IHDR",
        &[size.as_slice(), &[bits, colour, 0, 0, 0]].concat(),
    );
    for (kind, data) in chunks {
        chunk(kind, data);
    }
    chunk(b"IEND", &[]);
    bytes
}

/// CRC-32 as PNG has it, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// zlib's stored form of zeros that would go on for `megabytes`: 1032:1 at best takes a compressor, this one is
/// deflate's fixed code of runs of 258.
fn zeros(megabytes: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = vec![0x78, 0x01];
    let (mut word, mut filled) = (0u64, 0);
    let mut put = |value: u64, count: u32, bits: &mut Vec<u8>| {
        word |= value << filled;
        filled += count;
        while filled >= 8 {
            bits.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    };
    put(0b011, 3, &mut bits); // the last block, fixed codes
    put(0b0000_1100, 8, &mut bits); // a literal 0
    for _ in 0..megabytes * (1 << 20) / 258 {
        put(0b1010_0011, 8, &mut bits); // a run of 258 ...
        put(0, 5, &mut bits); // ... from one byte back
    }
    put(0, 7, &mut bits); // the end
    put(0, 8, &mut bits);
    bits.extend([0; 4]);
    bits
}

/// Twenty files that want more memory than they are worth, or are none.
#[test]
fn bombs_are_refused_before_they_go_off() {
    let rgb = [8, 2];
    let empty: &[u8] = &[];
    let bomb = zeros(600);
    let jpeg = fs::read(fixture("photo.jpg")).unwrap();
    let progressive = fs::read(fixture("progressive.jpg")).unwrap();
    let webp = fs::read(fixture("lossy.webp")).unwrap();
    let sized = |bytes: &[u8], height: u16, width: u16| {
        let mut bytes = bytes.to_vec();
        let frame = bytes
            .windows(2)
            .position(|w| w == [0xFF, 0xC0] || w == [0xFF, 0xC2]);
        let at = frame.unwrap() + 5;
        bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
        bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
        bytes
    };
    let mut wide_webp = webp.clone();
    let at = wide_webp
        .windows(3)
        .position(|w| w == [0x9D, 0x01, 0x2A])
        .unwrap()
        + 3;
    wide_webp[at..at + 4].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
    let mut text = b"Comment\0\0".to_vec();
    text.extend(&bomb);
    let mut profile = b"icc\0\0".to_vec();
    profile.extend(&bomb);
    let cases: [(&str, Vec<u8>, &[Fault]); 22] = [
        ("nothing", vec![], &[Fault::NoImageFormat]),
        (
            "a pickle",
            b"\x80\x04\x95cos\nsystem\n".to_vec(),
            &[Fault::NoImageFormat],
        ),
        (
            "a script",
            b"<svg onload=alert(1)>".to_vec(),
            &[Fault::NoImageFormat],
        ),
        (
            "a gif",
            b"GIF89a\x01\x00\x01\x00".to_vec(),
            &[Fault::NoImageFormat],
        ),
        (
            "png of 60000 x 60000",
            png(60_000, 60_000, rgb, &[(b"IDAT", &bomb)]),
            &[Fault::LargeImage],
        ),
        (
            "png of 2^31",
            png(1 << 31, 1 << 31, rgb, &[(b"IDAT", empty)]),
            &[Fault::BrokenImage, Fault::LargeImage],
        ),
        (
            "png of one line",
            png(u32::MAX >> 1, 1, rgb, &[(b"IDAT", empty)]),
            &[Fault::LargeImage],
        ),
        (
            "png of no size",
            png(0, 0, rgb, &[(b"IDAT", empty)]),
            &[Fault::BrokenImage],
        ),
        (
            "png of 16 bits that is over by its depth",
            png(7_900, 7_900, [16, 6], &[(b"IDAT", empty)]),
            &[Fault::LargeImage],
        ),
        (
            "png without data",
            png(8, 8, rgb, &[]),
            &[Fault::BrokenImage, Fault::CutImage],
        ),
        (
            "png with too few data",
            png(8, 8, rgb, &[(b"IDAT", &[0x78, 0x01, 1, 0, 0, 0xFF, 0xFF])]),
            &[Fault::BrokenImage, Fault::CutImage],
        ),
        (
            "png whose data go on",
            png(8, 8, rgb, &[(b"IDAT", &bomb)]),
            &[],
        ),
        (
            "png with a text that goes on",
            png(8, 8, rgb, &[(b"zTXt", &text), (b"IDAT", &zeros(1))]),
            &[],
        ),
        (
            "png with a profile that goes on",
            png(8, 8, rgb, &[(b"iCCP", &profile), (b"IDAT", &zeros(1))]),
            &[],
        ),
        (
            "jpeg cut in half",
            jpeg[..jpeg.len() / 2].to_vec(),
            &[Fault::CutImage],
        ),
        (
            "jpeg cut in its tables",
            jpeg[..100].to_vec(),
            &[Fault::CutImage],
        ),
        (
            "jpeg without its end",
            jpeg[..jpeg.len() - 2].to_vec(),
            &[Fault::CutImage],
        ),
        (
            "jpeg of 65535 x 65535",
            sized(&jpeg, 65_535, 65_535),
            &[Fault::LargeImage],
        ),
        (
            "jpeg whose scans want more than pixels do",
            sized(&progressive, 7_900, 7_900),
            &[Fault::LargeImage],
        ),
        ("jpeg of no size", sized(&jpeg, 0, 0), &[Fault::BrokenImage]),
        (
            "webp cut in half",
            webp[..webp.len() / 2].to_vec(),
            &[Fault::CutImage, Fault::BrokenImage],
        ),
        (
            "webp of 16383 x 16383",
            wide_webp,
            &[Fault::LargeImage, Fault::BrokenImage],
        ),
    ];
    for (name, bytes, faults) in cases {
        match decode(&bytes) {
            Ok(picture) => {
                assert!(faults.is_empty(), "{name}");
                assert_eq!((picture.width, picture.height), (8, 8), "{name}");
            }
            // What goes on after the picture may be left or refused.
            Err(Fault::LargeImage | Fault::BrokenImage) if faults.is_empty() => {}
            Err(fault) => assert!(faults.contains(&fault), "{name}: {fault:?}"),
        }
    }
    assert_eq!((MOST_PIXELS, MOST_BYTES), (64_000_000, 256 << 20));
}

#[test]
fn a_cut_or_changed_file_is_a_picture_or_a_fault() {
    for name in [
        "photo.jpg",
        "progressive.jpg",
        "rgba.png",
        "palette.png",
        "lossy.webp",
        "moving.webp",
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        let mut chance = Chance::new(&[1]);
        for n in 0..300 {
            let mut bytes = whole.clone();
            if n % 3 == 0 {
                bytes.truncate(chance.below(whole.len() as u64) as usize);
            }
            for _ in 0..n % 5 {
                let at = chance.below(bytes.len() as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = chance.below(256) as u8;
                }
            }
            if let Ok(picture) = decode(&bytes) {
                let pixels = u64::from(picture.width) * u64::from(picture.height);
                assert_eq!(picture.rgb.len() as u64, pixels * 3, "{name}");
            }
        }
        for length in 0..whole.len() {
            let cut = decode(&whole[..length]);
            assert!(
                cut.is_err() || name.ends_with("webp") || name.ends_with("png"),
                "{name} {length}"
            );
        }
    }
}

/// A strip that would be blown up to hundreds of millions of pixels between the two steps of cropping.
#[test]
fn a_strip_is_not_blown_up() {
    let strip = Picture {
        width: 60_000,
        height: 1,
        rgb: vec![0; 180_000],
    };
    let preparation = Preparation {
        size: 224,
        resize: Resize::Crop,
        filter: Filter::Bicubic,
        augment: Augment::None,
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    assert_eq!(preparation.square(&strip), Err(Fault::LargeImage));
    let squashed = Preparation {
        resize: Resize::Squash,
        ..preparation
    };
    assert_eq!(squashed.square(&strip).unwrap().len(), 224 * 224 * 3);
}

/// As large as may be, and no larger.
#[test]
fn sixty_four_megapixels_decode() {
    let (width, height) = (8_000, 8_000);
    let mut bytes = Vec::new();
    let grey = vec![7; width as usize * height as usize];
    let encoder = PngEncoder::new(&mut bytes);
    encoder
        .write_image(&grey, width, height, ExtendedColorType::L8)
        .unwrap();
    drop(grey);
    assert_eq!(decode(&bytes).unwrap().rgb.len(), 3 * 64_000_000);
    let mut bytes = Vec::new();
    let grey = vec![7; 8_001 * 8_000];
    JpegEncoder::new(&mut bytes)
        .encode(&grey, 8_001, 8_000, ExtendedColorType::L8)
        .unwrap();
    assert_eq!(decode(&bytes), Err(Fault::LargeImage));
}
