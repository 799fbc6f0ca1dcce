//! Runs over files of every format: they learn, resume to the same bits, do not hear of ranks, and say what they skipped.

use super::*;
use crate::train::data::{DataConfig, FilesConfig, SourceConfig};
use crate::train::device::tested;
use crate::train::model::TowerKind;

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    format!("{folder}{name}")
}

/// The tiny run over the files at `path`, whose pictures are made as small as those of `shapes`.
fn over(kind: fn(FilesConfig) -> DataConfig, path: &str) -> TrainConfig {
    let mut config = tiny();
    config.data = kind(FilesConfig {
        path: fixture(path),
        image_size: 32,
        ..FilesConfig::default()
    });
    config.model.text.context = 40;
    config
}

fn files(config: &mut TrainConfig) -> &mut FilesConfig {
    match &mut config.data {
        DataConfig::Shapes(_) => unreachable!("the data are files"),
        DataConfig::Webdataset(files)
        | DataConfig::Csv(files)
        | DataConfig::Parquet(files)
        | DataConfig::Folder(files)
        | DataConfig::Features(files) => files,
    }
}

fn shards() -> TrainConfig {
    over(DataConfig::Webdataset, "data/pairs-{000000..000001}.tar")
}

fn every_format() -> [TrainConfig; 4] {
    let mut parquet = over(DataConfig::Parquet, "pictures/indexed.parquet");
    let rows = files(&mut parquet);
    (rows.caption, rows.language) = ("captions".into(), "language".into());
    (parquet.train.batch_size, parquet.train.examples) = (8, 64);
    [
        shards(),
        over(DataConfig::Csv, "data/csv/pairs.csv"),
        parquet,
        over(DataConfig::Folder, "data/zeroshot"),
    ]
}

/// What the log warned of, in order.
fn warnings(dir: &RunDir) -> Vec<String> {
    let events = read_events(dir).unwrap().into_iter();
    let warned = events.filter_map(|line| match line.event {
        Event::Warned { message, .. } => Some(message),
        _ => None,
    });
    warned.collect()
}

fn failure(config: &TrainConfig) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    let events = EventLog::open(&dir).unwrap();
    let mut recorder = Recorder::new(dir, events, Box::new(std::io::sink())).unwrap();
    let devices = vec![tested(); config.train.ranks];
    let stop = AtomicBool::new(false);
    let ending = train(config, &devices, &BTreeMap::new(), &mut recorder, &stop);
    format!("{:#}", ending.expect_err("the run fails"))
}

#[test]
fn every_format_trains_and_ranks_do_not_matter() {
    for mut config in every_format() {
        config.validate().unwrap();
        let alone = losses(&config);
        assert_eq!(alone.len(), 8);
        config.train.ranks = 2;
        for (a, b) in alone.iter().zip(losses(&config)) {
            assert!(
                (a / b - 1.0).abs() < 1e-3,
                "{:?}: {b}, alone {a}",
                config.data
            );
        }
    }
}

#[test]
fn a_run_over_shards_learns_what_their_captions_say() {
    let mut config = shards();
    config.train.examples = 12 * 150;
    let losses = losses(&config);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..20]), mean(&losses[130..]));
    assert!(last < 0.9 * first, "{first} to {last}");
}

#[test]
fn a_run_over_files_resumes_to_the_same_bits() {
    let mut mixed = shards();
    let set = files(&mut mixed);
    let source = |path: &str, weight| SourceConfig {
        path: fixture(path),
        weight,
    };
    set.path = String::new();
    set.sources = vec![
        source("data/pairs-000000.tar", 1.5),
        source("data/pairs-000001.tar", 0.5),
        source("data/broken-000000.tar", 1.0),
    ];
    (set.shuffle, set.max_broken, set.held_out) = (7, 0.2, 5);
    set.augment = crate::train::data::Augment::RandomCrop(0.5);
    for mut config in every_format().into_iter().chain([mixed]) {
        config.train.save_seconds = 0.0;
        config.train.examples = 12 * 8;
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (RunDir::new(one.path()), RunDir::new(two.path()));
        run(&config, &one, &AtomicBool::new(false));
        // Stopped after every checkpoint, so that no attempt sees what another has read.
        for attempt in 0.. {
            let stop = std::sync::Arc::new(AtomicBool::new(false));
            let voice = Box::new(StopOnceSaid("saved".into(), stop.clone()));
            let events = EventLog::open(&two).unwrap();
            let mut recorder = Recorder::new(two.clone(), events, voice).unwrap();
            let starts = BTreeMap::new();
            let ending = train(&config, &[tested()], &starts, &mut recorder, &stop);
            if ending.unwrap() != Ending::Stopped {
                assert!(attempt > 1, "it was stopped {attempt} times");
                break;
            }
        }
        assert_eq!(last_files(&one), last_files(&two), "{:?}", config.data);
    }
}

#[test]
fn what_is_broken_is_skipped_counted_and_named_in_the_log() {
    let mut config = over(
        DataConfig::Webdataset,
        "data/broken-000000.tar::TESTS/data/pairs-000000.tar",
    );
    let set = files(&mut config);
    set.path = set.path.replace("TESTS/", &fixture(""));
    set.max_broken = 0.2;
    config.train.examples = 12 * 6;
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    let ending = run(&config, &dir, &AtomicBool::new(false));
    assert_eq!(ending, Ending::Finished(Outcome::Completed));
    let told = warnings(&dir);
    // How many were met by the first row is a matter of how far was read ahead.
    assert!(told[0].contains(" of 32 samples: "), "{told:?}");
    let last = told.last().unwrap();
    for part in [
        "skipped 6 of 32 samples",
        "1 no caption (broken-000000.tar/c.jpg)",
        "1 empty caption (broken-000000.tar/d.jpg)",
        "1 caption not UTF-8 (broken-000000.tar/e.jpg)",
        "1 stray file (broken-000000.tar/README)",
        "1 climbing name (broken-000000.tar/../../escape.jpg)",
        "1 cut image (broken-000000.tar/b.jpg)",
    ] {
        assert!(last.contains(part), "{last}");
    }
    let counted = rows(&dir).last().unwrap().values["skipped"];
    assert_eq!(counted, 6.0);

    files(&mut config).max_broken = 0.05;
    let failure = failure(&config);
    assert!(
        failure.starts_with("data.max_broken: skipped 5 of 32"),
        "{failure}"
    );
    // Alone it is the same, and trains on where it is allowed to.
    let mut alone = over(DataConfig::Webdataset, "data/broken-000000.tar");
    files(&mut alone).max_broken = 0.9;
    (alone.train.batch_size, alone.train.examples) = (2, 12);
    assert_eq!(losses(&alone).len(), 6);
}

/// One in a hundred that is found broken when it is read changes nothing else; one in ten is too many.
#[test]
fn a_few_broken_images_are_replaced_and_many_stop_the_run() {
    let image = std::fs::read(fixture("pictures/photo.jpg")).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let set = |every: usize| {
        let path = tmp.path().join(format!("{every}.tar"));
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        let mut add = |name: String, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        for n in 0..400 {
            let length = if n % every == 3 {
                image.len() / 2
            } else {
                image.len()
            };
            add(format!("{n:03}.jpg"), &image[..length]);
            add(format!("{n:03}.txt"), format!("number {n}").as_bytes());
        }
        tar.finish().unwrap();
        let mut config = tiny();
        config.data = DataConfig::Webdataset(FilesConfig {
            path: path.to_str().unwrap().into(),
            image_size: 32,
            ..FilesConfig::default()
        });
        config.model.text.context = 16;
        (config.train.batch_size, config.train.examples) = (40, 400);
        config
    };
    let few = set(100);
    let dir = RunDir::new(tmp.path());
    run(&few, &dir, &AtomicBool::new(false));
    let last = warnings(&dir).pop().unwrap();
    assert!(
        last.starts_with("skipped 4 of 400 samples: 4 cut image (100.tar/003.jpg, "),
        "{last}"
    );
    let failure = failure(&set(10));
    assert!(
        failure.starts_with("data.max_broken: skipped ") && failure.contains("cut image"),
        "{failure}"
    );
}

#[test]
fn a_set_that_no_run_can_be_made_of_says_why() {
    let mut large = shards();
    large.train.batch_size = 60;
    assert!(failure(&large).starts_with("train.batch_size: a batch of 60 would hold"));
    let mut supervised = shards();
    supervised.loss = LossConfig::Classify(loss::ClassifyConfig::default());
    assert!(failure(&supervised).starts_with("data.label: the loss goes by classes"));
    let mut held = shards();
    files(&mut held).held_out = 48;
    assert!(failure(&held).starts_with("data.held_out: 48 of 48"));
    let mut nowhere = shards();
    files(&mut nowhere).path = "/nowhere.tar".into();
    assert!(failure(&nowhere).starts_with("/nowhere.tar: "));
}

#[test]
fn classes_of_a_folder_are_learned_and_told() {
    let mut config = over(DataConfig::Folder, "data/zeroshot");
    files(&mut config).held_out = 12;
    config.loss = LossConfig::Classify(loss::ClassifyConfig::default());
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(&config, &dir, &AtomicBool::new(false));
    let events = read_events(&dir).unwrap();
    let evaluated = events.iter().any(|line| {
        matches!(&line.event, Event::Evaluated { metrics, .. } if metrics.contains_key("classify/top1"))
    });
    assert!(evaluated, "the pictures held out are looked at");
}

#[test]
fn vectors_train_towers_that_read_them() {
    let mut config = over(DataConfig::Features, "pictures");
    let sides = files(&mut config);
    (sides.image, sides.caption) = ("vectors.npy".into(), "vectors.safetensors:text".into());
    (config.train.batch_size, config.train.examples) = (10, 10 * 60);
    assert!(failure(&config).starts_with("model.image.tower: this side is vectors of 6 numbers"));
    config.model.image.tower = TowerKind::Features;
    assert!(failure(&config).starts_with("model.text.tower: this side is vectors of 4 numbers"));
    config.model.text.tower = TowerKind::Features;
    let curve = losses(&config);
    assert!(curve[59] < 0.8 * curve[0], "{curve:?}");
    // Texts on the other side.
    let sides = files(&mut config);
    (sides.image, sides.caption) = ("indexed.parquet:vector".into(), "captions.txt".into());
    config.model.text.tower = TowerKind::Transformer;
    config.train.examples = 10 * 8;
    assert_eq!(losses(&config).len(), 8);
    // And pictures.
    let sides = files(&mut config);
    (sides.image, sides.caption) = ("indexed.parquet:png".into(), "half.npy".into());
    (config.model.image.tower, config.model.text.tower) =
        (TowerKind::Transformer, TowerKind::Features);
    let alone = losses(&config);
    config.train.ranks = 2;
    for (a, b) in alone.iter().zip(losses(&config)) {
        assert!((a / b - 1.0).abs() < 1e-3, "{b}, alone {a}");
    }
}
