//! Every format on the fixtures, what is wrong with samples in each, and files that are made to do harm.

mod hostile;

use std::fs;
use std::path::PathBuf;

use super::*;

pub fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name).to_str().unwrap().to_owned()
}

pub fn at(path: impl Into<String>) -> FilesConfig {
    FilesConfig {
        path: path.into(),
        max_broken: 1.0,
        ..FilesConfig::default()
    }
}

fn open(format: Format, config: &FilesConfig) -> Files {
    Files::open(format, config, None).unwrap()
}

/// The problem of opening, in words.
pub fn problem(format: Format, config: &FilesConfig) -> String {
    match Files::open(format, config, None) {
        Ok(files) => panic!("opened: {}", files.skips()),
        Err(error) => error.to_string(),
    }
}

fn texts(files: &Files, sample: u64) -> Vec<String> {
    let captions = files.captions(sample).unwrap();
    captions.into_iter().map(|caption| caption.text).collect()
}

fn decodes(files: &Files, sample: u64) -> bool {
    files
        .image(sample)
        .is_ok_and(|bytes| crate::train::data::picture::decode(&bytes).is_ok())
}

#[test]
fn shards_give_their_images_with_captions_in_order() {
    let config = at(fixture("data/pairs-{000000..000001}.tar"));
    let files = open(Format::Webdataset, &config);
    assert_eq!((files.len(), files.skips().count()), (48, 0));
    assert!((0..48).all(|sample| decodes(&files, sample)));
    assert!(
        files.name(0).ends_with("pairs-000000.tar/000_00000.jpg"),
        "{}",
        files.name(0)
    );
    assert!(
        files.name(25).ends_with("pairs-000001.tar/001_00001.png"),
        "{}",
        files.name(25)
    );
    assert!(texts(&files, 30)[0].starts_with("a photo of a "));
    assert!(!files.captions_vary() && files.classes().is_empty());
    // The same from a field of JSON, and the first that there is of several.
    for caption in ["json:caption", "nothing;json:caption;txt"] {
        let config = FilesConfig {
            caption: caption.into(),
            ..config.clone()
        };
        let other = open(Format::Webdataset, &config);
        assert!((0..48).all(|sample| texts(&other, sample) == texts(&files, sample)));
    }
    let config = FilesConfig {
        image: "png".into(),
        ..config
    };
    let some = open(Format::Webdataset, &config);
    assert_eq!(
        (some.len(), some.skips().to_string().contains("32 no image")),
        (16, true)
    );
}

#[test]
fn what_is_wrong_with_samples_is_counted_and_named() {
    let config = at(fixture("data/broken-000000.tar"));
    let files = open(Format::Webdataset, &config);
    // That one of these is cut in half is found when it is read.
    assert_eq!(files.len(), 3);
    assert!(decodes(&files, 0) && !decodes(&files, 1) && decodes(&files, 2));
    let told = files.skips().to_string();
    for part in [
        "skipped 5 of 8 samples",
        "1 no caption (broken-000000.tar/c.jpg)",
        "1 empty caption (broken-000000.tar/d.jpg)",
        "1 caption not UTF-8 (broken-000000.tar/e.jpg)",
        "1 stray file (broken-000000.tar/README)",
        "1 climbing name (broken-000000.tar/../../escape.jpg)",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let strict = FilesConfig {
        max_broken: 0.05,
        ..config
    };
    let problem = problem(Format::Webdataset, &strict);
    assert!(
        problem.starts_with("data.max_broken: skipped 5 of 8 samples"),
        "{problem}"
    );
}

#[test]
fn tables_name_images_and_say_something_of_them() {
    let config = at(fixture("data/csv/pairs.csv"));
    let files = open(Format::Csv, &config);
    assert_eq!((files.len(), files.skips().count()), (20, 0));
    assert!((0..20).all(|sample| decodes(&files, sample)));
    assert_eq!(files.name(7), "007.png");

    let tmp = tempfile::tempdir().unwrap();
    let table = tmp.path().join("t.csv");
    let image = fs::read(fixture("data/csv/000.png")).unwrap();
    fs::create_dir(tmp.path().join("images")).unwrap();
    fs::write(tmp.path().join("images/a.png"), image).unwrap();
    let mut text = b"\xef\xbb\xbffilepath,title,lang,kind\n".to_vec();
    text.extend(b"images/a.png,\"a cat, \"\"sitting\"\"\non a mat\",en,cat\n");
    text.extend(b"images/a.png,,en,cat\nimages/a.png,\xff\xfe,en,cat\n,no name,en,cat\n../a.png,up,en,cat\n");
    text.extend(b"images/a.png,ein Hund,de,dog\nimages/a.png\nimages/a.png,ohne Klasse,de,\nimages/none.png,gone,,dog\n");
    fs::write(&table, &text).unwrap();
    let config = FilesConfig {
        language: "lang".into(),
        label: "kind".into(),
        caption: "title".into(),
        ..at(table.to_str().unwrap())
    };
    let files = open(Format::Csv, &config);
    assert_eq!(
        files.captions(0).unwrap()[0].text,
        "a cat, \"sitting\"\non a mat"
    );
    let languages: Vec<_> = (0..3)
        .map(|n| files.captions(n).unwrap()[0].language.clone())
        .collect();
    assert_eq!(
        languages,
        [Some("en".to_owned()), Some("de".to_owned()), None]
    );
    assert_eq!(files.classes(), ["cat", "dog"]);
    assert_eq!(
        [0, 1, 2].map(|n| files.label(n)),
        [Some(0), Some(1), Some(1)]
    );
    assert!(decodes(&files, 1));
    assert_eq!(
        files.image(2),
        Err(Fault::Unreadable),
        "found when it is read"
    );
    let told = files.skips().to_string();
    for part in [
        "skipped 6 of 9",
        "1 no caption (row 8: images/a.png)",
        "1 no image",
        "1 climbing name (row 6: ../a.png)",
        "1 no class",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let wrong = FilesConfig {
        caption: "text".into(),
        ..config
    };
    let problem = problem(Format::Csv, &wrong);
    assert!(
        problem.starts_with("data.caption: ") && problem.contains("\"title\""),
        "{problem}"
    );
}

#[test]
fn a_folder_is_a_class_and_templates_speak_for_it() {
    let config = FilesConfig {
        templates: vec!["a photo of a {}.".into(), "{c}!".into()],
        ..at(fixture("data/zeroshot"))
    };
    let files = open(Format::Folder, &config);
    assert_eq!((files.len(), files.classes().len()), (36, 11));
    assert_eq!(files.classes()[0], "blue_circle");
    assert!((0..36).all(|sample| decodes(&files, sample)));
    let label = files.label(0).unwrap();
    assert_eq!(label, 0);
    assert_eq!(
        texts(&files, 0),
        ["a photo of a blue circle.", "blue circle!"]
    );
    assert!(files.captions_vary() && files.name(0).starts_with("blue_circle/"));
    let problem = problem(Format::Folder, &at(fixture("data/csv")));
    assert!(problem.contains("one for each class"), "{problem}");
}

#[test]
fn parquet_has_images_as_bytes_or_as_hugging_face_stores_them() {
    for file in ["pairs.parquet", "indexed.parquet"] {
        let config = at(fixture(&format!("pictures/{file}")));
        let files = open(Format::Parquet, &config);
        assert_eq!(files.len(), 8, "{}", files.skips());
        let told = files.skips().to_string();
        assert!(
            told.contains(&format!("1 no caption ({file} row 3)")),
            "{told}"
        );
        assert!(
            told.contains(&format!("1 empty caption ({file} row 7)")),
            "{told}"
        );
        let rows = [0, 1, 2, 4, 5, 6, 8, 9];
        for (sample, row) in rows.into_iter().enumerate() {
            let sample = sample as u64;
            assert_eq!(texts(&files, sample), [format!("picture {row}")]);
            let picture =
                crate::train::data::picture::decode(&files.image(sample).unwrap()).unwrap();
            assert_eq!(picture.width, 20 + row, "row {row}");
        }
        let config = FilesConfig {
            image: "png".into(),
            caption: "captions".into(),
            language: "language".into(),
            label: "label".into(),
            ..config
        };
        let files = open(Format::Parquet, &config);
        assert_eq!(files.len(), 10);
        assert_eq!(texts(&files, 7), ["a wave", "number 7"]);
        let languages = files
            .captions(7)
            .unwrap()
            .into_iter()
            .map(|caption| caption.language.unwrap());
        assert_eq!(languages.collect::<Vec<_>>(), ["de", "de"]);
        assert!(files.captions_vary());
        assert_eq!(files.classes(), ["0", "1", "2"]);
        assert!((0..10).all(|sample| files.label(sample) == Some(sample as u32 % 3)));
        let wrong = FilesConfig {
            caption: "vector".into(),
            ..config
        };
        assert!(problem(Format::Parquet, &wrong).contains("holds numbers"));
    }
}

#[test]
fn vectors_are_the_same_from_every_file() {
    let pair = |image: &str, caption: &str| FilesConfig {
        image: image.into(),
        caption: caption.into(),
        ..at(fixture("pictures"))
    };
    let files = open(
        Format::Features,
        &pair("vectors.npy", "vectors.safetensors:text"),
    );
    assert_eq!((files.len(), files.widths()), (10, [Some(6), Some(4)]));
    for row in 0..10 {
        let (image, text) = (
            files.vector(row, true).unwrap(),
            files.vector(row, false).unwrap(),
        );
        assert!(
            image.iter().zip(&text).all(|(a, b)| *a == -*b) && image.len() == 6 && text.len() == 4
        );
    }
    for (other, near) in [
        ("double.npy", 0.0),
        ("half.npy", 2e-3),
        ("vectors.safetensors:image", 0.0),
        ("pairs.parquet:vector", 0.0),
        ("indexed.parquet:vector", 0.0),
        ("indexed.parquet:half", 2e-3),
    ] {
        let others = open(Format::Features, &pair(other, "captions.txt"));
        assert_eq!(others.widths(), [Some(6), None]);
        for row in 0..10 {
            let (a, b) = (
                files.vector(row, true).unwrap(),
                others.vector(row, true).unwrap(),
            );
            assert!(
                a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= near),
                "{other} {row}"
            );
            assert_eq!(texts(&others, row), [format!("picture {row}")]);
        }
    }
    // Images on one side, vectors on the other.
    let files = open(Format::Features, &pair("pairs.parquet:png", "vectors.npy"));
    assert_eq!(files.widths(), [None, Some(6)]);
    assert!((0..10).all(|row| decodes(&files, row)));
    for (config, word) in [
        (pair("vectors.safetensors", "captions.txt"), "image, text"),
        (
            pair("vectors.safetensors:none", "captions.txt"),
            "no tensor",
        ),
        (pair("captions.txt", "vectors.npy"), "no images"),
        (pair("pairs.parquet", "captions.txt"), "which column"),
        (pair("rgb.png.rgb.npy", "captions.txt"), "u1"),
    ] {
        let problem = problem(Format::Features, &config);
        assert!(problem.contains(word), "{problem}");
    }
    let mut other = pair("vectors.npy", "three.txt");
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("three.txt"), "a\nb\nc\n").unwrap();
    fs::copy(
        fixture("pictures/vectors.npy"),
        tmp.path().join("vectors.npy"),
    )
    .unwrap();
    other.path = tmp.path().to_str().unwrap().to_owned();
    assert!(problem(Format::Features, &other).contains("3 rows and vectors.npy has 10"));
}

#[test]
fn several_sources_are_one_set_and_what_is_not_there_says_so() {
    let source = |path: String, weight| SourceConfig { path, weight };
    let config = FilesConfig {
        path: String::new(),
        sources: vec![
            source(fixture("data/pairs-000001.tar"), 2.0),
            source(fixture("data/pairs-000000.tar"), 1.0),
        ],
        ..FilesConfig::default()
    };
    let files = open(Format::Webdataset, &config);
    assert!(files.sources().eq([(0..24, 2.0), (24..48, 1.0)]));
    assert!(files.name(0).starts_with("pairs-000001.tar/"));
    let problem = problem(Format::Webdataset, &at("/nowhere/{000..002}.tar"));
    assert!(
        problem.starts_with("/nowhere/000.tar: ") && problem.contains("No such file"),
        "{problem}"
    );
}

#[test]
fn an_index_is_kept_and_a_damaged_one_is_made_again() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("large.tar");
    let mut tar = ::tar::Builder::new(fs::File::create(&path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("a.jpg", &vec![1; 17 << 20]);
    add("a.txt", b"large");
    add("b.txt", b"no image");
    tar.finish().unwrap();
    let kept = tmp.path().join("kept");
    let open =
        || Files::open(Format::Webdataset, &at(path.to_str().unwrap()), Some(&kept)).unwrap();
    let first = open();
    let file = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    let written = fs::read_to_string(&file).unwrap();
    let same = |files: Files| (files.len(), texts(&files, 0), files.skips().to_string());
    let expected = same(first);
    assert_eq!(expected.0, 1);
    // It is believed.
    fs::write(&file, written.replace("b.txt", "c.txt")).unwrap();
    assert!(open().skips().to_string().contains("c.txt"));
    // And it is not, when it is damaged or points outside.
    for damaged in [
        &written[..written.len() / 2],
        "",
        &written.replace("\"len\":5", "\"len\":4294967295"),
    ] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(same(open()), expected);
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
    }
}
