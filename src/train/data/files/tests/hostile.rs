//! Archives, tables and arrays that lie about themselves. Each is an error or a skip with a reason; none makes anything
//! outside, and none takes memory that its size does not warrant.

use std::fs;
use std::path::Path;

use super::*;
use crate::train::data::chance::Chance;

/// One block of a header, with its sum.
fn header(name: &[u8], size: u64, kind: u8) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut block);
    block
}

fn sum(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A member with its header, filled up to whole blocks.
fn member(name: &str, bytes: &[u8], kind: u8) -> Vec<u8> {
    let mut member = header(name.as_bytes(), bytes.len() as u64, kind).to_vec();
    member.extend(bytes);
    member.resize(member.len().div_ceil(512) * 512, 0);
    member
}

fn plain(name: &str, bytes: &[u8]) -> Vec<u8> {
    member(name, bytes, b'0')
}

fn good(key: &str) -> Vec<u8> {
    let image = fs::read(fixture("pictures/photo.jpg")).unwrap();
    [
        plain(&format!("{key}.jpg"), &image),
        plain(&format!("{key}.txt"), b"good"),
    ]
    .concat()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while format!("{length}{rest}").len() != length {
            length += 1;
        }
        text.push_str(&format!("{length}{rest}"));
    }
    member("pax", text.as_bytes(), b'x')
}

fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    let mut block: [u8; 512] = bytes[..512].try_into().unwrap();
    sum(&mut block);
    bytes[..512].copy_from_slice(&block);
    bytes
}

/// All that is in a folder and below it.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Twenty-five archives, each between two good samples where it can be: what they say is skipped, and how many good ones
/// are still found.
#[test]
fn archives_that_lie_are_skipped_and_write_nothing() {
    let many: Vec<u8> = (0..20_000)
        .flat_map(|n| plain(&format!("{n}.jpg"), b""))
        .collect();
    let suffixes: Vec<u8> = (0..500)
        .flat_map(|n| plain(&format!("k.s{n}"), b""))
        .collect();
    let long = "x".repeat(300);
    let with_txt = |name: &str| plain(&format!("{name}.txt"), b"text");
    let cases: Vec<(&str, Vec<u8>, &str, u64)> = vec![
        (
            "climbs",
            [plain("../../up.jpg", b"x"), with_txt("../../up")].concat(),
            "climbing name",
            2,
        ),
        (
            "climbs inside",
            [plain("a/../../up.jpg", b"x"), with_txt("a/../../up")].concat(),
            "climbing name",
            2,
        ),
        (
            "climbs back to front",
            [plain("..\\up.jpg", b"x"), with_txt("..\\up")].concat(),
            "climbing name",
            2,
        ),
        (
            "absolute",
            [plain("/etc/passwd.jpg", b"x"), with_txt("/etc/passwd")].concat(),
            "climbing name",
            2,
        ),
        (
            "long name that climbs",
            [
                member("././@LongLink", b"../../up.jpg\0", b'L'),
                plain("b.jpg", b"x"),
                plain("b.txt", b"y"),
            ]
            .concat(),
            "climbing name",
            2,
        ),
        (
            "pax name that climbs",
            [pax(&[("path", "../up.jpg")]), plain("b.jpg", b"x")].concat(),
            "climbing name",
            2,
        ),
        (
            "symbolic link",
            [member("l.jpg", b"", b'2'), with_txt("l")].concat(),
            "no plain file",
            2,
        ),
        (
            "hard link",
            [member("l.jpg", b"", b'1'), with_txt("l")].concat(),
            "no plain file",
            2,
        ),
        (
            "device",
            [member("l.jpg", b"", b'3'), with_txt("l")].concat(),
            "no plain file",
            2,
        ),
        (
            "pipe",
            [member("l.jpg", b"", b'6'), with_txt("l")].concat(),
            "no plain file",
            2,
        ),
        (
            "sparse",
            [member("l.jpg", b"", b'S'), with_txt("l")].concat(),
            "no plain file",
            2,
        ),
        (
            "pickle",
            plain("model.pkl", b"\x80\x04cos\nsystem\n."),
            "stray file",
            2,
        ),
        ("python module", plain("evil.pyd", b"MZ"), "stray file", 2),
        ("torch file", plain("weights.pt", b"PK"), "stray file", 2),
        (
            "folder and note",
            [member("d/", b"", b'5'), plain("__note__", b"x")].concat(),
            "",
            2,
        ),
        ("hidden", plain("._a.jpg", b"x"), "stray file", 2),
        (
            "name of no UTF-8",
            [header(b"\xff\xfe\x1b[2J.jpg", 0, b'0').to_vec()].concat(),
            "no caption",
            2,
        ),
        ("no name", plain("", b"x"), "stray file", 2),
        (
            "twice",
            [plain("t.jpg", b"x"), plain("t.jpg", b"x"), with_txt("t")].concat(),
            "no caption",
            3,
        ),
        ("many empty members", many, "20 000 no caption", 2),
        ("many suffixes", suffixes, "stray file", 2),
        (
            "pax of another size",
            [pax(&[("size", "1024")]), plain("b.jpg", b"x")].concat(),
            "damaged archive",
            1,
        ),
        (
            "pax sparse",
            [
                pax(&[("GNU.sparse.realsize", "99999999999")]),
                plain("b.jpg", b"x"),
            ]
            .concat(),
            "damaged archive",
            1,
        ),
        (
            "pax that is none",
            [
                member("pax", b"99999999999999999999 path=x\n", b'x'),
                plain("b.jpg", b"x"),
            ]
            .concat(),
            "damaged archive",
            1,
        ),
        (
            "larger than the file",
            header(b"b.jpg", 1 << 32, b'0').to_vec(),
            "damaged archive",
            1,
        ),
        (
            "size of 2^63",
            patched(
                plain("b.jpg", b""),
                124,
                &[
                    0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                ],
            ),
            "damaged archive",
            1,
        ),
        (
            "size that is no number",
            patched(plain("b.jpg", b""), 124, b"99zzz99zzz9\0"),
            "damaged archive",
            1,
        ),
        (
            "sum that is wrong",
            {
                let mut bytes = plain("b.jpg", b"");
                bytes[0] ^= 1;
                bytes
            },
            "damaged archive",
            1,
        ),
        (
            "noise",
            (0..4096u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1)
                .collect(),
            "damaged archive",
            1,
        ),
        (
            "long name without end",
            [
                member("././@LongLink", long.as_bytes(), b'L'),
                plain("b.txt", b"y"),
            ]
            .concat(),
            "stray file",
            2,
        ),
    ];
    assert!(cases.len() >= 25);
    let tmp = tempfile::tempdir().unwrap();
    for (name, bytes, reason, found) in cases {
        let path = tmp.path().join("shards").join("x.tar");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            &path,
            [good("first"), bytes, good("last"), vec![0; 1024]].concat(),
        )
        .unwrap();
        let before = all(tmp.path());
        let files = open(Format::Webdataset, &at(path.to_str().unwrap()));
        let told = files.skips().to_string();
        assert_eq!(files.len(), found, "{name}: {told}");
        assert!(
            told.contains(reason) && (!reason.is_empty() || files.skips().count() == 0),
            "{name}: {told}"
        );
        assert!(
            !told.contains('\u{1b}') && told.len() < 2_000,
            "{name}: {told}"
        );
        assert!(files.name(0).contains("first.jpg"), "{name}");
        let good = (0..found).filter(|sample| decodes(&files, *sample)).count();
        assert!(good as u64 >= found.min(2), "{name}");
        assert_eq!(all(tmp.path()), before, "{name}: nothing is written");
    }
}

#[test]
fn an_archive_that_was_cut_gives_what_is_whole() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("x.tar");
    let whole = [good("a"), good("b"), good("c")].concat();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        match Files::open(Format::Webdataset, &at(path.to_str().unwrap()), None) {
            Ok(files) => assert!(
                (0..files.len()).all(|sample| decodes(&files, sample)),
                "{length}"
            ),
            Err(error) => assert!(
                length < whole.len() / 3 + 512 && error.to_string().contains("no sample"),
                "{length}: {error}"
            ),
        }
    }
}

#[test]
fn a_quote_that_never_closes_ends_a_table_and_takes_no_memory() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("t.csv");
    let mut text = b"filepath,title\na.png,fine\nb.png,\"open".to_vec();
    text.resize(8 << 20, b'x');
    fs::write(&path, text).unwrap();
    let files = open(Format::Csv, &at(path.to_str().unwrap()));
    assert_eq!(files.len(), 1);
    assert!(
        files
            .skips()
            .to_string()
            .contains("1 broken row (row 3 and all after it)"),
        "{}",
        files.skips()
    );
    fs::write(&path, vec![b'x'; 8 << 20]).unwrap();
    problem(Format::Csv, &at(path.to_str().unwrap()));
    fs::write(&path, "").unwrap();
    problem(Format::Csv, &at(path.to_str().unwrap()));
}

/// Arrays and tensors whose headers promise what the file does not hold.
#[test]
fn arrays_that_lie_are_errors() {
    let npy = |header: &str, body: usize| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + body, 0);
        bytes
    };
    let tensors = |header: &str, body: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + body, 0);
        bytes
    };
    let shaped = |dtype: &str, order: &str, shape: &str| {
        format!("{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}\n")
    };
    let deep = "(".repeat(5_000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a.npy", vec![]),
        ("a.npy", b"\x93NUMPY".to_vec()),
        ("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec()),
        ("a.npy", b"\x93NUMPY\x09\x00\x04\x00{}  ".to_vec()),
        ("a.npy", npy("not python", 100)),
        ("a.npy", npy(&shaped("'<f4'", "False", "(4, 1000000)"), 64)),
        (
            "a.npy",
            npy(
                &shaped(
                    "'<f4'",
                    "False",
                    "(9223372036854775807, 9223372036854775807)",
                ),
                64,
            ),
        ),
        ("a.npy", npy(&shaped("'<f4'", "False", "(-1, 4)"), 64)),
        ("a.npy", npy(&shaped("'<f4'", "False", "(0, 4)"), 64)),
        ("a.npy", npy(&shaped("'<f4'", "False", "(4, 0)"), 64)),
        ("a.npy", npy(&shaped("'<f4'", "False", "(4,)"), 64)),
        ("a.npy", npy(&shaped("'<f4'", "True", "(4, 4)"), 64)),
        ("a.npy", npy(&shaped("'|O'", "False", "(4, 4)"), 640)),
        ("a.npy", npy(&shaped("'>f4'", "False", "(4, 4)"), 64)),
        (
            "a.npy",
            npy(&shaped("[('a', '<f4')]", "False", "(4, 4)"), 64),
        ),
        ("a.npy", npy(&shaped("'<f4'", "False", &deep), 64)),
        ("a.safetensors", vec![]),
        ("a.safetensors", u64::MAX.to_le_bytes().to_vec()),
        ("a.safetensors", (1_u64 << 63).to_le_bytes().to_vec()),
        ("a.safetensors", tensors("{", 64)),
        ("a.safetensors", tensors(&"[".repeat(100_000), 64)),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}"#,
                60,
            ),
        ),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,64]}}"#,
                64,
            ),
        ),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"F32","shape":[4,400],"data_offsets":[0,64]}}"#,
                64,
            ),
        ),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[64,0]}}"#,
                64,
            ),
        ),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"I64","shape":[2,4],"data_offsets":[0,64]}}"#,
                64,
            ),
        ),
        (
            "a.safetensors",
            tensors(
                r#"{"a":{"dtype":"F99","shape":[4,4],"data_offsets":[0,64]}}"#,
                64,
            ),
        ),
        ("a.parquet:a", vec![]),
        ("a.parquet:a", b"PAR1PAR1".to_vec()),
        ("a.parquet:a", b"PAR1\xff\xff\xff\xffPAR1".to_vec()),
        (
            "a.parquet:a",
            [b"PAR1".as_slice(), &[0x15; 400], &[144, 1, 0, 0], b"PAR1"].concat(),
        ),
    ];
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("t.txt"), "a\nb\nc\nd\n").unwrap();
    for (n, (name, bytes)) in cases.into_iter().enumerate() {
        fs::write(tmp.path().join(name.trim_end_matches(":a")), bytes).unwrap();
        let config = FilesConfig {
            image: name.into(),
            caption: "t.txt".into(),
            ..at(tmp.path().to_str().unwrap())
        };
        let problem = problem(Format::Features, &config);
        assert!(
            problem.contains("a.npy")
                || problem.contains("a.safetensors")
                || problem.contains("a.parquet"),
            "{n}: {problem}"
        );
        assert!(problem.len() < 2_000, "{n}");
    }
    // A number that is none is found when its row is read.
    let mut bytes = npy(&shaped("'<f4'", "False", "(4, 4)"), 64);
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(tmp.path().join("a.npy"), bytes).unwrap();
    let config = FilesConfig {
        image: "a.npy".into(),
        caption: "t.txt".into(),
        ..at(tmp.path().to_str().unwrap())
    };
    let files = open(Format::Features, &config);
    assert_eq!(
        (files.vector(2, true).is_ok(), files.vector(3, true)),
        (true, Err(Fault::NotFinite))
    );
}

/// Parquet with bytes changed, above all in its footer: whatever the reader makes of it, it comes back.
#[test]
fn damaged_parquet_is_an_error_or_skips() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("d.parquet");
    for name in ["pairs.parquet", "indexed.parquet"] {
        let whole = fs::read(fixture(&format!("pictures/{name}"))).unwrap();
        let footer = whole.len() - 6_000..whole.len();
        let mut chance = Chance::new(&[5]);
        let (mut opened, mut refused) = (0, 0);
        for n in 0..250 {
            let mut bytes = whole.clone();
            for _ in 0..=n % 4 {
                let near = if n % 2 == 0 {
                    footer.clone()
                } else {
                    0..whole.len()
                };
                let at = near.start as u64 + chance.below(near.len() as u64);
                bytes[at as usize] = chance.below(256) as u8;
            }
            fs::write(&path, bytes).unwrap();
            let config = at(path.to_str().unwrap());
            match Files::open(Format::Parquet, &config, None) {
                Ok(files) => {
                    opened += 1;
                    for sample in 0..files.len().min(20) {
                        let _ = (files.image(sample), files.captions(sample));
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(opened > 20 && refused > 20, "{opened} {refused}");
    }
}
