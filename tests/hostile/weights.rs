//! Checkpoints of other programs: safetensors, npz, and the settings beside them.

use std::fs;
use std::path::Path;

use siglab::train::device;
use siglab::train::model::import::Checkpoint;
use siglab::train::model::open;

use super::bounds::alone;
use super::fuzz::{Parser, SECOND, tenfold, twice};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/towers");
    fs::read(folder.join(name)).unwrap()
}

/// A file with this header and so many bytes of data.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// What the file says, without its weights.
fn described(_: &Path, file: &Path) -> Result<String, String> {
    Checkpoint::open(file)
        .map(|_| "a checkpoint".into())
        .map_err(|e| e.to_string())
}

/// The model with its weights.
fn opened(folder: &Path, _: &Path) -> Result<String, String> {
    let device = device::open("cpu").map_err(|e| e.to_string())?;
    open::open(folder, &device)
        .map(|_| "a model".into())
        .map_err(|e| format!("{e:#}"))
}

pub fn safetensors() -> Parser {
    Parser {
        name: "safetensors",
        file: "model.safetensors",
        beside: vec![("config.json", fixture("hf_siglip_tiny/config.json"))],
        seeds: vec![
            fixture("hf_siglip_tiny/model.safetensors"),
            fixture("hf_clip_tiny/model.safetensors"),
        ],
        cpu: SECOND,
        room: twice,
        take: described,
    }
}

pub fn npz() -> Parser {
    Parser {
        name: "npz",
        file: "checkpoint.npz",
        beside: Vec::new(),
        seeds: vec![
            fixture("big_vision/checkpoint.npz"),
            fixture("big_vision_scan/checkpoint.npz"),
        ],
        cpu: SECOND,
        room: tenfold,
        take: opened,
    }
}

pub fn settings() -> Parser {
    Parser {
        name: "settings",
        file: "config.json",
        beside: vec![(
            "model.safetensors",
            fixture("hf_siglip_tiny/model.safetensors"),
        )],
        seeds: vec![fixture("hf_siglip_tiny/config.json")],
        cpu: SECOND,
        room: tenfold,
        take: opened,
    }
}

/// Headers that ask for more than there is. The rest of the hand-made ones are beside the reader; these are the ones that
/// a careless reader takes memory for.
#[test]
fn what_a_header_claims_takes_no_memory() {
    let alone = alone();
    let tensor = |shape: &str, range: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{range}}}}}"#)
    };
    let many = |n: usize| -> String {
        let entries: Vec<String> = (0..n)
            .map(|n| {
                format!(
                    r#""t{n}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#,
                    4 * n,
                    4 * n + 4
                )
            })
            .collect();
        format!("{{{}}}", entries.join(","))
    };
    let length = |length: u64| {
        let mut bytes = with_header("{}", 0);
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let cases = [
        ("header of 2^63", length(1 << 63)),
        ("header of 2^64 - 1", length(u64::MAX)),
        ("header of 10 MB - 1", length(9_999_999)),
        ("header of 99 MB", length(99_000_000)),
        (
            "header of 11 MB that is there",
            with_header(&" ".repeat(11 << 20), 0),
        ),
        ("100,000 lists", with_header(&"[".repeat(100_000), 0)),
        (
            "a list of 1,000,000 numbers",
            with_header(&format!(r#"{{"a":[{}0]}}"#, "0,".repeat(1_000_000)), 0),
        ),
        (
            "a shape of 1,000,000 axes",
            with_header(
                &tensor(&format!("[{}1]", "1,".repeat(1_000_000)), "[0,4]"),
                4,
            ),
        ),
        (
            "a name of 9 MB",
            with_header(
                &tensor("[1]", "[0,4]").replace("\"a\"", &format!("\"{}\"", "n".repeat(9_000_000))),
                4,
            ),
        ),
        (
            "2^48 numbers",
            with_header(&tensor("[16777216,16777216]", "[0,1125899906842624]"), 64),
        ),
        (
            "2^40 numbers and a file that says so",
            with_header(&tensor("[1099511627776]", "[0,4398046511104]"), 64),
        ),
        (
            "100,000 tensors on one place",
            with_header(&many(100_000).replace("[0,4]", "[4,8]"), 400_000),
        ),
        ("130,000 tensors", with_header(&many(130_000), 520_000)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for (name, bytes) in cases {
        fs::write(&path, &bytes).unwrap();
        let (answer, spent) = alone.measure(|| described(folder.path(), &path));
        let error = answer
            .unwrap_or_else(|| panic!("{name}: it panics"))
            .expect_err(name);
        assert!(
            error.len() < 4_000,
            "{name}: {} bytes are said",
            error.len()
        );
        assert!(
            spent.bytes <= twice(bytes.len()),
            "{name}: {} bytes of memory for {} on disk",
            spent.bytes,
            bytes.len()
        );
    }
}
