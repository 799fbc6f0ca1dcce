//! Data sets: archives, tables, arrays, pictures, and what is said of classes and tokens.

use std::fs;
use std::path::Path;

use siglab::train::data::text::{TokenizerConfig, TokensConfig};
use siglab::train::data::{DataConfig, FilesConfig, Source, decode};
use siglab::train::eval::sets::{EvalSet, SetConfig};

use super::bounds::alone;
use super::fuzz::{Parser, SECOND, tenfold};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name),
    )
    .unwrap()
}

/// A set at `path` that goes on however much of it is broken.
fn files(path: &Path) -> FilesConfig {
    FilesConfig {
        path: path.display().to_string(),
        image_size: 16,
        max_broken: 1.0,
        ..FilesConfig::default()
    }
}

/// Open the set and read some of it, as training does.
fn read(data: &DataConfig) -> Result<String, String> {
    let source = Source::open(data, 16, 0).map_err(|e| e.to_string())?;
    let examples = source
        .train(0..source.pairs().min(6))
        .map_err(|e| e.to_string())?;
    match source.widths() {
        [Some(_), _] => source.image_vectors(&examples).map(drop),
        [None, _] => source.pixels(&examples).map(drop),
    }
    .map_err(|e| e.to_string())?;
    source.tokens(&examples).map_err(|e| e.to_string())?;
    let skips = source.skips().filter(|skips| skips.count() > 0);
    Ok(skips.map_or_else(String::new, |skips| skips.to_string()))
}

/// One picture and what is said of it, as tar keeps them.
fn shard(caption: (&str, &[u8])) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("a.jpg", fixture("pictures/photo.jpg").as_slice()),
        caption,
        ("b.png", &fixture("data/csv/014.png")),
        ("b.txt", b"two"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn tar() -> Parser {
    Parser {
        name: "tar",
        file: "x.tar",
        beside: Vec::new(),
        seeds: vec![shard(("a.txt", b"one")), fixture("data/broken-000000.tar")],
        cpu: SECOND,
        room: tenfold,
        take: |_, file| read(&DataConfig::Webdataset(files(file))),
    }
}

pub fn caption_json() -> Parser {
    Parser {
        name: "caption-json",
        file: "a.json",
        beside: Vec::new(),
        seeds: [
            r#"{"text": "one", "n": 1.5}"#,
            r#"{"text": ["one", "two"], "language": "de"}"#,
            r#"{"text": {"en": "one", "de": ["eins"]}}"#,
        ]
        .map(|s| s.as_bytes().to_vec())
        .to_vec(),
        cpu: SECOND,
        room: tenfold,
        take: |folder, file| {
            let json = fs::read(file).map_err(|e| e.to_string())?;
            let path = folder.join("x.tar");
            fs::write(&path, shard(("a.json", &json))).map_err(|e| e.to_string())?;
            let said = read(&DataConfig::Webdataset(FilesConfig {
                caption: "json:text;txt".into(),
                ..files(&path)
            }))?;
            // What is wrong with a caption is a skip.
            if said.is_empty() { Ok(said) } else { Err(said) }
        },
    }
}

pub fn table() -> Parser {
    Parser {
        name: "table",
        file: "t.csv",
        beside: vec![
            ("000.png", fixture("data/csv/000.png")),
            ("001.png", fixture("data/csv/001.png")),
        ],
        seeds: [
            "filepath,title\n000.png,one\n001.png,\"two, \"\"and\"\" three\"\n",
            "filepath\ttitle\n000.png\tone\n001.png\ttwo\n",
            "title,filepath\r\none,000.png\r\n",
        ]
        .map(|s| s.as_bytes().to_vec())
        .to_vec(),
        cpu: SECOND,
        room: tenfold,
        take: |_, file| read(&DataConfig::Csv(files(file))),
    }
}

pub fn parquet() -> Parser {
    Parser {
        name: "parquet",
        file: "x.parquet",
        beside: Vec::new(),
        seeds: vec![
            fixture("pictures/pairs.parquet"),
            fixture("pictures/indexed.parquet"),
        ],
        // The crate walks through a list of two thousand million nothings that a byte may claim; each takes a second.
        cpu: 4 * SECOND,
        room: tenfold,
        take: |_, file| read(&DataConfig::Parquet(files(file))),
    }
}

fn features(folder: &Path, image: &str) -> Result<String, String> {
    read(&DataConfig::Features(FilesConfig {
        image: image.into(),
        caption: "t.txt".into(),
        ..files(folder)
    }))
}

pub fn npy() -> Parser {
    let array = |header: &str, body: usize| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + body, 0);
        bytes
    };
    let seed = |dtype: &str, body| {
        array(
            &format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (4, 4), }}\n"),
            body,
        )
    };
    Parser {
        name: "npy",
        file: "a.npy",
        beside: vec![("t.txt", b"a\nb\nc\nd\n".to_vec())],
        seeds: vec![seed("<f4", 64), seed("<f2", 32), seed("<f8", 128)],
        cpu: SECOND,
        room: tenfold,
        take: |folder, _| features(folder, "a.npy"),
    }
}

pub fn vectors() -> Parser {
    let header = r#"{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}"#;
    let mut seed = (header.len() as u64).to_le_bytes().to_vec();
    seed.extend(header.as_bytes());
    seed.resize(seed.len() + 64, 0);
    Parser {
        name: "vectors",
        file: "a.safetensors",
        beside: vec![("t.txt", b"a\nb\nc\nd\n".to_vec())],
        seeds: vec![seed],
        cpu: SECOND,
        room: tenfold,
        take: |folder, _| features(folder, "a.safetensors"),
    }
}

/// A picture may take 256 MiB while it is decoded, and the pixels of the largest beside it.
pub fn pictures() -> Parser {
    let names = [
        "cmyk.jpg",
        "progressive.jpg",
        "grey.jpg",
        "rgba.png",
        "palette.png",
        "grey16.png",
        "bits.png",
        "lossy.webp",
        "lossless.webp",
        "moving.webp",
    ];
    Parser {
        name: "pictures",
        file: "picture",
        beside: Vec::new(),
        seeds: names
            .map(|name| fixture(&format!("pictures/{name}")))
            .to_vec(),
        cpu: SECOND,
        room: |bytes| bytes + (256 << 20) + (192 << 20),
        take: |_, file| {
            let bytes = fs::read(file).map_err(|e| e.to_string())?;
            decode(&bytes)
                .map(|_| "a picture".into())
                .map_err(|e| e.to_string())
        },
    }
}

pub fn tokenizer() -> Parser {
    let names = [
        "siglip/tokenizer.json",
        "clip/tokenizer.json",
        "bpe.json",
        "unigram.json",
        "wordpiece.json",
    ];
    Parser {
        name: "tokenizer",
        file: "tokenizer.json",
        beside: vec![(
            "tokenizer_config.json",
            fixture("tokenizers/siglip/tokenizer_config.json"),
        )],
        seeds: names
            .map(|name| fixture(&format!("tokenizers/{name}")))
            .to_vec(),
        cpu: SECOND,
        room: tenfold,
        take: |folder, _| {
            let text = TokensConfig {
                tokenizer: TokenizerConfig::File(folder.display().to_string()),
                pad: "a".into(),
                start: "a".into(),
                end: "a".into(),
                ..TokensConfig::default()
            };
            let error = |e: siglab::train::data::DataError| e.to_string();
            let tokenizer =
                siglab::train::data::text::Tokenizer::open(&text, None, 16).map_err(error)?;
            for text in [
                "a photo of a cat",
                "Ünïcode 日本 \u{1f600}",
                "",
                "   ",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ] {
                tokenizer.tokens(text).map_err(error)?;
            }
            Ok("a tokenizer".into())
        },
    }
}

/// The files of CLIP_benchmark's layout that say what the shards mean: names, templates, kind, number of shards.
pub fn class_names() -> Parser {
    Parser {
        name: "class-names",
        file: "said.txt",
        beside: vec![
            ("set/test/0.tar", fixture("eval/classification/test/0.tar")),
            ("set/test/1.tar", fixture("eval/classification/test/1.tar")),
        ],
        seeds: vec![
            [
                fixture("eval/classification/classnames.txt"),
                b"\0a photo of a {c}.\0classification\x002".to_vec(),
            ]
            .concat(),
            [
                fixture("eval/classification/classnames.txt"),
                b"\0{c}\n\"a {}\"\0classification\x002".to_vec(),
            ]
            .concat(),
        ],
        cpu: SECOND,
        room: tenfold,
        take: |folder, file| {
            let said = fs::read(file).map_err(|e| e.to_string())?;
            let names = [
                "classnames.txt",
                "zeroshot_classification_templates.txt",
                "dataset_type.txt",
                "test/nshards.txt",
            ];
            let set = folder.join("set");
            let mut parts = said.splitn(4, |byte| *byte == 0);
            for name in names {
                fs::write(set.join(name), parts.next().unwrap_or_default())
                    .map_err(|e| e.to_string())?;
            }
            let config = SetConfig {
                name: "set".into(),
                path: set.display().to_string(),
                ..SetConfig::default()
            };
            EvalSet::open(&config)
                .map(|set| format!("{} pictures", set.pictures()))
                .map_err(|e| format!("{e:#}"))
        },
    }
}

/// A shard of two hundred samples, of which so many have a picture that was cut.
fn partly_broken(broken: usize) -> Vec<u8> {
    let whole = fixture("pictures/photo.jpg");
    let mut archive = tar::Builder::new(Vec::new());
    for n in 0..200 {
        let picture = match n % (200 / broken) {
            0 => &whole[..whole.len() / 2],
            _ => &whole,
        };
        for (name, bytes) in [
            (format!("{n:03}.jpg"), picture),
            (format!("{n:03}.txt"), b"a word".as_slice()),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

#[test]
fn one_in_a_hundred_broken_is_counted_and_one_in_ten_stops() {
    // What it takes must not count as that of another.
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let through = |broken: usize| {
        fs::write(&path, partly_broken(broken)).unwrap();
        let data = DataConfig::Webdataset(FilesConfig {
            max_broken: FilesConfig::default().max_broken,
            ..files(&path)
        });
        let source = Source::open(&data, 16, 0).unwrap();
        let examples = source.train(0..source.pairs());
        examples.map(|examples| (examples.len(), source.skips().unwrap().to_string()))
    };
    let (examples, said) = through(2).unwrap();
    assert_eq!(examples, 200, "others take their places");
    assert!(said.contains("2 cut image"), "{said}");
    let error = through(20).unwrap_err().to_string();
    assert!(
        error.starts_with("data.max_broken") && error.contains("cut image"),
        "{error}"
    );
}

/// What a picture claims of its size takes no memory before it is refused.
#[test]
fn bombs_go_off_in_no_room() {
    let png = |mut bytes: Vec<u8>| {
        bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        // The sum over the header, which a decoder asks for.
        let sum = bytes[12..29].iter().fold(!0_u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
            })
        });
        bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
        bytes
    };
    let jpeg = |mut bytes: Vec<u8>| {
        let frame = |two: &[u8]| matches!(two, [0xff, 0xc0 | 0xc2]);
        let at = bytes.windows(2).position(frame).unwrap();
        bytes[at + 5..at + 9].copy_from_slice(&[0xff; 4]);
        bytes
    };
    let alone = alone();
    for (name, bytes) in [
        ("60000 x 60000, png", png(fixture("pictures/rgb.png"))),
        (
            "60000 x 60000, palette",
            png(fixture("pictures/palette.png")),
        ),
        ("65535 x 65535, jpeg", jpeg(fixture("pictures/photo.jpg"))),
        (
            "65535 x 65535, progressive",
            jpeg(fixture("pictures/progressive.jpg")),
        ),
    ] {
        // What other tests take while they set out counts too, and does not come three times at the same moment.
        let tries = (0..3).map(|_| {
            let (answer, spent) = alone.measure(|| decode(&bytes));
            let fault = answer.expect(name).map(drop).unwrap_err();
            assert!(fault.to_string().contains("limits"), "{name}: {fault}");
            spent.bytes
        });
        let bytes = tries.min().unwrap();
        assert!(bytes < 1 << 20, "{name}: {bytes} bytes");
    }
}
