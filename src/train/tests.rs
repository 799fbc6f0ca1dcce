//! The loop as a whole, on a model small enough for a test: it learns, ranks do not matter, and a run that was
//! stopped and resumed ends with the same bits as one that was not.

mod files;
mod rollback;

use std::sync::atomic::AtomicBool;

use super::cache::CacheConfig;
use super::*;
use crate::record::checkpoint;
use crate::record::{Event, EventLog, Row, RunDir, read_events};
use device::{keeps_bits, tested};
use loss::{Keep, LogT, LogTInit, LossConfig, NegativesConfig, SigmoidConfig, SoftmaxConfig};

fn tiny() -> TrainConfig {
    let mut config = TrainConfig::default();
    config.model.embed_dim = 16;
    (
        config.model.image.width,
        config.model.image.depth,
        config.model.image.heads,
    ) = (16, 1, 2);
    (
        config.model.text.width,
        config.model.text.depth,
        config.model.text.heads,
    ) = (16, 1, 2);
    (
        config.train.batch_size,
        config.train.examples,
        config.train.tile,
    ) = (12, 12 * 8, 5);
    (config.optim.schedule.warmup, config.optim.lr) = (24, 1e-2);
    (config.eval.every, config.eval.images) = (48, 64);
    config
}

fn every_loss() -> [LossConfig; 3] {
    [
        LossConfig::default(),
        LossConfig::Softmax(SoftmaxConfig::default()),
        LossConfig::Classify(loss::ClassifyConfig::default()),
    ]
}

/// The sigmoid loss with 3 negatives for each positive.
fn with_few_negatives(keep: Keep) -> LossConfig {
    LossConfig::Sigmoid(SigmoidConfig {
        negatives: NegativesConfig { keep, ratio: 3.0 },
        ..SigmoidConfig::default()
    })
}

fn run(config: &TrainConfig, dir: &RunDir, stop: &AtomicBool) -> Ending {
    let devices = vec![tested(); config.train.ranks];
    let mut recorder = Recorder::new(
        dir.clone(),
        EventLog::open(dir).unwrap(),
        Box::new(std::io::sink()),
    )
    .unwrap();
    train(config, &devices, &BTreeMap::new(), &mut recorder, stop).unwrap()
}

fn rows(dir: &RunDir) -> Vec<Row> {
    let text = std::fs::read_to_string(dir.metrics()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn losses(config: &TrainConfig) -> Vec<f64> {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    assert_eq!(
        run(config, &dir, &AtomicBool::new(false)),
        Ending::Finished(Outcome::Completed)
    );
    rows(&dir).iter().map(|row| row.values["loss"]).collect()
}

#[test]
fn one_device_and_a_ring_give_the_same_curve() {
    let few_negatives = [Keep::Random, Keep::Hard, Keep::Easy].map(with_few_negatives);
    for loss in every_loss().into_iter().chain(few_negatives) {
        let mut config = tiny();
        config.loss = loss;
        let alone = losses(&config);
        assert_eq!(alone.len(), 8);
        for ranks in [2, 3, 4] {
            config.train.ranks = ranks;
            for (a, b) in alone.iter().zip(losses(&config)) {
                assert!(
                    (a / b - 1.0).abs() < 1e-3,
                    "{:?} on {ranks} ranks: {b}, alone {a}",
                    config.loss
                );
            }
        }
    }
}

#[test]
fn micro_batches_change_nothing_but_memory() {
    let few_negatives = [Keep::Random, Keep::Hard].map(with_few_negatives);
    for loss in every_loss().into_iter().chain(few_negatives) {
        let mut config = tiny();
        config.loss = loss;
        let curve = |config: &TrainConfig| -> Vec<(f64, f64)> {
            let tmp = tempfile::tempdir().unwrap();
            let dir = RunDir::new(tmp.path());
            run(config, &dir, &AtomicBool::new(false));
            let rows = rows(&dir).into_iter();
            rows.map(|row| (row.values["loss"], row.values["grad_norm"]))
                .collect()
        };
        let whole = curve(&config);
        for (micro, ranks) in [(1, 1), (5, 1), (12, 1), (4, 2)] {
            (config.train.micro_batch, config.train.ranks) = (micro, ranks);
            let parts = curve(&config);
            let gradient = parts[0].1 / whole[0].1 - 1.0;
            assert!(gradient.abs() < 1e-5, "{:?}: {gradient:.1e}", config.loss);
            for (a, b) in whole.iter().zip(&parts) {
                let off = b.0 / a.0 - 1.0;
                assert!(
                    off.abs() < 1e-3,
                    "{:?} in parts of {micro}: {off:.1e}",
                    config.loss
                );
            }
        }
    }
}

/// One update from the start of the run that `config` describes.
fn first_update(config: &TrainConfig) -> (State, step::Update) {
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let mut state = State::new(config, &source, &tested());
    let mesh = Mesh::alone();
    let parts = Parts::new(config, &mesh, &source, state.sides().clone());
    let update = state.update(config, &mesh, &mut Feed::when_asked(parts), 1, false);
    (state, update.unwrap())
}

/// The values of `flat` that belong to parameters whose name begins with `prefix`.
fn part_of(state: &State, flat: &burn::tensor::Tensor<1>, prefix: &str) -> Vec<f32> {
    let flat = device::host(flat.clone());
    let entries = state.layout.entries().iter();
    entries
        .filter(|entry| entry.name.starts_with(prefix))
        .flat_map(|entry| flat[entry.range.clone()].to_vec())
        .collect()
}

fn first_moments(state: &State) -> &burn::tensor::Tensor<1> {
    let mut vectors = state.optimiser.state().into_iter();
    &vectors.find(|vector| vector.name == "m").unwrap().values
}

#[test]
fn two_pictures_of_a_scene_train_an_image_tower_alone() {
    let mut config = tiny();
    let data::DataConfig::Shapes(shapes) = &mut config.data else {
        unreachable!("the default")
    };
    shapes.views = data::Views::ImageImage;
    (config.train.examples, config.eval.bank) = (12 * 120, 200);
    let curve = losses(&config);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&curve[100..]) < 0.9 * mean(&curve[..20]), "{curve:?}");

    config.train.examples = 12 * 8;
    let tmp = tempfile::tempdir().unwrap();
    let measured = [(1, 0), (2, 0), (1, 5)].map(|(ranks, micro_batch)| {
        (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
        let dir = RunDir::new(tmp.path().join(format!("{ranks}-{micro_batch}")));
        std::fs::create_dir(dir.path()).unwrap();
        run(&config, &dir, &AtomicBool::new(false));
        let events = read_events(&dir).unwrap().into_iter().rev();
        let mut metrics = events.filter_map(|line| match line.event {
            Event::Evaluated { metrics, .. } => Some(metrics),
            _ => None,
        });
        (rows(&dir)[7].values["loss"], metrics.next().unwrap())
    });
    for (loss, metrics) in &measured {
        assert!((loss / measured[0].0 - 1.0).abs() < 1e-3);
        assert!(
            metrics.keys().eq(["knn/n", "knn/top1", "knn/top1_k20"]),
            "{metrics:?}"
        );
        assert!((metrics["knn/top1"] - measured[0].1["knn/top1"]).abs() < 0.1);
    }
    assert!(first_update(&config).0.model.text.is_none());
}

#[test]
fn a_locked_tower_has_no_gradient_and_changes_none() {
    for loss in every_loss() {
        for micro_batch in [0, 5] {
            let mut config = tiny();
            (config.loss, config.train.micro_batch) = (loss.clone(), micro_batch);
            config.optim.clip_norm = 0.0;
            let free = first_update(&config).0;
            for locked in [["image."].as_slice(), &["text."], &["image.", "text."]] {
                let mut config = config.clone();
                for tower in locked {
                    match *tower {
                        "image." => config.optim.image.lr_mult = 0.0,
                        _ => config.optim.text.lr_mult = 0.0,
                    }
                }
                let (state, update) = first_update(&config);
                let start = State::new(
                    &config,
                    &Source::open(&config.data, config.model.text.context, config.seed).unwrap(),
                    &tested(),
                );
                let mut norm = 0.0;
                for tower in ["image.", "text.", "log_t", "bias"] {
                    let moment = part_of(&state, first_moments(&state), tower);
                    if locked.contains(&tower) {
                        assert!(moment.iter().all(|m| *m == 0.0), "{tower}");
                        let [now, before] = [&state, &start].map(|s| part_of(s, &s.flat, tower));
                        assert_eq!(now, before, "{tower}");
                    } else {
                        let expected = part_of(&free, first_moments(&free), tower);
                        // On tensors that of t comes from a side that learns.
                        let least = match tower == "log_t" && !keeps_bits() {
                            true => 1e-5,
                            false => 0.0,
                        };
                        let mut pairs = moment.iter().zip(&expected);
                        let near = pairs.all(|(a, b)| (a - b).abs() <= least * b.abs());
                        assert!(near && moment.len() == expected.len(), "{tower}");
                    }
                    let gradient = moment.iter().map(|m| f64::from(*m) / 0.1);
                    norm += gradient.map(|g| g * g).sum::<f64>();
                }
                let off = update.norms.gradient - norm.sqrt();
                assert!(off.abs() < 1e-5 * (1.0 + norm.sqrt()), "{locked:?}: {off}");
            }
        }
    }
}

/// The parameters at the end of a run of five steps, by name, and the first moments, which tell the size of gradients.
fn after_five_steps(config: &TrainConfig) -> BTreeMap<String, Vec<f32>> {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(config, &dir, &AtomicBool::new(false));
    let end = checkpoint::latest(&dir).unwrap().0.unwrap();
    assert_eq!((end.manifest.step, rows(&dir).len()), (5, 5), "steps");
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let mut state = State::new(config, &source, &tested());
    snapshot::restore(&mut state, &end).unwrap();
    let entries = state.layout.entries().iter();
    let both = entries.flat_map(|entry| {
        let vectors = [("", &state.flat), ("m.", first_moments(&state))];
        vectors.map(|(prefix, flat)| {
            let values = device::host(flat.clone().slice(entry.range.clone()));
            (format!("{prefix}{}", entry.name), values)
        })
    });
    both.collect()
}

#[test]
fn accumulation_ends_with_the_parameters_of_the_whole_batch() {
    let [sigmoid, softmax, _] = every_loss();
    for (loss, locked) in [(&sigmoid, false), (&softmax, false), (&sigmoid, true)] {
        let mut config = tiny();
        config.loss = loss.clone();
        (config.train.batch_size, config.train.examples) = (28, 28 * 5);
        config.eval.images = 8;
        config.optim.lr = 1e-3;
        // What has no gradient but rounding (a bias of the keys) must not be divided by its own size.
        config.optim.eps = 1e-5;
        if locked {
            config.optim.image.lr_mult = 0.0;
        }
        let whole = after_five_steps(&config);
        let start = whole["log_t"].len() + whole.get("bias").map_or(0, Vec::len);
        assert_eq!(
            start,
            if *loss == softmax { 1 } else { 2 },
            "scalars of the loss"
        );
        // One part, 2, 4, 7, 14 and 28 of them; with two ranks, half as many pairs each.
        for (ranks, micro_batch) in [1, 2]
            .into_iter()
            .flat_map(|ranks| [28, 14, 7, 4, 2, 1].map(|micro| (ranks, micro)))
        {
            (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
            let parts = after_five_steps(&config);
            assert!(whole.keys().eq(parts.keys()));
            for (name, values) in &whole {
                for (a, b) in values.iter().zip(&parts[name]) {
                    assert!(
                        (a - b).abs() < 1e-5,
                        "{name}: {a} and {b}, {ranks} ranks in parts of {micro_batch}, {loss:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_loss_falls() {
    for loss in every_loss() {
        let mut config = tiny();
        config.loss = loss;
        config.train.examples = 12 * 120;
        let losses = losses(&config);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..20]), mean(&losses[100..]));
        assert!(last < 0.97 * first, "{:?}: {first} to {last}", config.loss);
    }
}

#[test]
fn a_stopped_run_resumes_to_the_same_bits() {
    let mut config = tiny();
    config.train.save_seconds = 0.0;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (RunDir::new(one.path()), RunDir::new(two.path()));
    run(&config, &one, &AtomicBool::new(false));

    assert_eq!(
        run(&config, &two, &AtomicBool::new(true)),
        Ending::Stopped,
        "asked to stop before the first step"
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attempt = scope.spawn(|| run(&config, &two, &stop));
        // Wherever the stop falls, the end is the same; a run that is already through is a stop at its end.
        while checkpoint::latest(&two).unwrap().0.is_none() {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        attempt.join().unwrap();
    });
    assert_eq!(
        run(&config, &two, &AtomicBool::new(false)),
        Ending::Finished(Outcome::Completed)
    );
    let last = |dir: &RunDir| checkpoint::latest(dir).unwrap().0.unwrap().manifest.files;
    assert_eq!(last(&one), last(&two), "hashes of model and optimiser");
    assert!(
        read_events(&two)
            .unwrap()
            .iter()
            .any(|line| matches!(line.event, Event::Resumed { .. }))
    );
}

/// Three epochs of 31 pairs, whose ends lie in the middle of batches, with these towers locked.
fn over_few_pairs(cache: CacheConfig, locked: [bool; 2]) -> TrainConfig {
    let mut config = tiny();
    let data::DataConfig::Shapes(shapes) = &mut config.data else {
        unreachable!("the default")
    };
    shapes.pairs = 31;
    let [image, text] = locked.map(|locked| if locked { 0.0 } else { 1.0 });
    (config.optim.image.lr_mult, config.optim.text.lr_mult) = (image, text);
    config.train.cache = cache;
    config
}

fn last_files(dir: &RunDir) -> BTreeMap<String, checkpoint::Content> {
    checkpoint::latest(dir).unwrap().0.unwrap().manifest.files
}

#[test]
fn a_cache_changes_no_bit() {
    if !keeps_bits() {
        return;
    }
    for locked in [[true, false], [false, true], [true, true]] {
        for (ranks, micro_batch) in [(1, 0), (1, 5), (1, 11), (3, 0), (2, 4)] {
            let ends = [CacheConfig::Off, CacheConfig::Memory, CacheConfig::Disk].map(|cache| {
                let mut config = over_few_pairs(cache, locked);
                (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
                let tmp = tempfile::tempdir().unwrap();
                let dir = RunDir::new(tmp.path());
                run(&config, &dir, &AtomicBool::new(false));
                assert!(!dir.embeddings("image").exists() && !dir.embeddings("text").exists());
                last_files(&dir)
            });
            let [off, memory, disk] = ends;
            assert_eq!(off, memory, "{locked:?} {ranks} {micro_batch}");
            assert_eq!(off, disk, "{locked:?} {ranks} {micro_batch}");
        }
    }
}

#[test]
fn drawing_ahead_changes_no_bit() {
    if !keeps_bits() {
        return;
    }
    let late = [0, 2].map(|ahead| {
        let mut config = unlocked_late(CacheConfig::Memory);
        (config.train.micro_batch, config.train.ahead) = (5, ahead);
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(&config, &dir, &AtomicBool::new(false));
        last_files(&dir)
    });
    assert_eq!(late[0], late[1], "with a tower that is unlocked on the way");
    for (ranks, micro_batch, locked) in [
        (1, 0, [false; 2]),
        (1, 5, [false; 2]),
        (2, 4, [true, false]),
        (3, 0, [false, true]),
        (1, 12, [true; 2]),
    ] {
        for loss in every_loss() {
            let end = |ahead| {
                let supervised = matches!(loss, LossConfig::Classify(_));
                let mut config = match supervised || locked == [false; 2] {
                    true => tiny(),
                    false => over_few_pairs(CacheConfig::Memory, locked),
                };
                config.loss = loss.clone();
                (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
                config.train.ahead = ahead;
                let tmp = tempfile::tempdir().unwrap();
                let dir = RunDir::new(tmp.path());
                run(&config, &dir, &AtomicBool::new(false));
                last_files(&dir)
            };
            let asked = end(0);
            for ahead in [1, 3] {
                assert_eq!(
                    asked,
                    end(ahead),
                    "{ranks} {micro_batch} {locked:?} {loss:?}"
                );
            }
        }
    }
}

#[test]
fn corruption_is_the_same_on_any_ranks_and_in_any_parts_and_none_is_as_before() {
    let shapes = |config: &mut TrainConfig| match &mut config.data {
        data::DataConfig::Shapes(shapes) => shapes.clone(),
        _ => unreachable!("the default"),
    };
    let losses = |corrupt: data::CorruptConfig, ranks, micro_batch| {
        let mut config = tiny();
        let shapes = shapes(&mut config);
        config.data = data::DataConfig::Shapes(data::shapes::ShapesConfig { corrupt, ..shapes });
        (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
        losses(&config)
    };
    let none = data::CorruptConfig::default();
    let all = data::CorruptConfig {
        image: 0.3,
        text: 0.3,
        alignment: 0.5,
    };
    let clean = losses(none, 1, 0);
    let spoilt = losses(all, 1, 0);
    assert_ne!(clean[0], spoilt[0]);
    for (ranks, micro_batch) in [(1, 5), (2, 0), (3, 3)] {
        for (a, b) in spoilt.iter().zip(losses(all, ranks, micro_batch)) {
            assert!((a / b - 1.0).abs() < 1e-3, "{ranks} {micro_batch}: {a} {b}");
        }
    }
}

#[test]
fn zero_shot_is_measured_in_every_language() {
    let mut config = tiny();
    let data::DataConfig::Shapes(shapes) = &mut config.data else {
        unreachable!("the default")
    };
    shapes.languages = ["en", "de", "iw"]
        .map(|tag| data::Language::new(tag).unwrap())
        .to_vec();
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(&config, &dir, &AtomicBool::new(false));
    let events = read_events(&dir).unwrap().into_iter();
    let mut metrics = events.filter_map(|line| match line.event {
        Event::Evaluated { metrics, .. } => Some(metrics),
        _ => None,
    });
    let metrics = metrics.next_back().unwrap();
    for name in ["zeroshot/top1", "zeroshot/top5", "zeroshot/top1_held_out"] {
        let each = ["en", "de", "he"].map(|language| metrics[&format!("{name}/{language}")]);
        let mean = each.iter().sum::<f64>() / 3.0;
        assert!((metrics[name] - mean).abs() < 1e-12, "{name}");
    }
}

#[test]
fn rows_tell_how_long_the_step_waited() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(&tiny(), &dir, &AtomicBool::new(false));
    let rows = rows(&dir);
    for row in &rows {
        let [data, eval] = ["wait/data", "wait/eval"].map(|key| row.values[key]);
        assert!(
            data > 0.0 && eval >= 0.0 && data + eval <= 1.0,
            "{data} {eval}"
        );
    }
    assert_eq!(rows[0].values["wait/eval"], 0.0);
    assert!(
        rows[7].values["wait/eval"] > 0.0,
        "an evaluation came before"
    );
}

/// A voice that asks to stop once these words were said.
struct StopOnceSaid(String, std::sync::Arc<AtomicBool>);

impl std::io::Write for StopOnceSaid {
    fn write(&mut self, said: &[u8]) -> std::io::Result<usize> {
        if String::from_utf8_lossy(said).contains(&self.0) {
            self.1.store(true, Ordering::Relaxed);
        }
        Ok(said.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_resumed_run_goes_on_with_its_cache_if_it_is_of_the_same_tower() {
    if !keeps_bits() {
        return;
    }
    let config = over_few_pairs(CacheConfig::Disk, [true, false]);
    let undisturbed = tempfile::tempdir().unwrap();
    let undisturbed = RunDir::new(undisturbed.path());
    run(&config, &undisturbed, &AtomicBool::new(false));
    let pairs = config.data.pairs();
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let state = State::new(&config, &source, &tested());

    for (forged, same_tower) in [(false, true), (true, true), (true, false)] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let voice = Box::new(StopOnceSaid("saved".into(), stop.clone()));
        let events = EventLog::open(&dir).unwrap();
        let mut recorder = Recorder::new(dir.clone(), events, voice).unwrap();
        let mut hasty = config.clone();
        hasty.train.save_seconds = 0.0;
        let starts = BTreeMap::new();
        let ending = train(&hasty, &[tested()], &starts, &mut recorder, &stop);
        assert_eq!(ending.unwrap(), Ending::Stopped);
        drop(recorder);

        let [cache, _] = state.open_caches(&config, &source, &dir).unwrap();
        let cache = cache.unwrap();
        let mut row = vec![0.0; 16];
        let known = |row: &mut [f32]| {
            let cache = cache.lock().unwrap();
            (0..pairs).filter(|&index| cache.get(index, row)).count()
        };
        assert!((12..31).contains(&known(&mut row)), "what was seen so far");
        if forged {
            // Rows that no tower made: the run must end elsewhere if it takes them, for it embeds none again.
            row.fill(0.25);
            (0..pairs).for_each(|index| cache.lock().unwrap().put(index, &row));
        }
        if !same_tower {
            let mut bytes = std::fs::read(dir.embeddings("image")).unwrap();
            bytes[40] ^= 1;
            std::fs::write(dir.embeddings("image"), bytes).unwrap();
        }
        run(&config, &dir, &AtomicBool::new(false));
        let as_if_undisturbed = last_files(&dir) == last_files(&undisturbed);
        assert_eq!(as_if_undisturbed, !forged || !same_tower);
    }
}

/// The image tower learns from the fourth update of eight on.
fn unlocked_late(cache: CacheConfig) -> TrainConfig {
    let mut config = over_few_pairs(cache, [false, false]);
    config.optim.image.unlock_after = 30;
    config.validate().unwrap();
    config
}

#[test]
fn a_tower_is_as_it_starts_until_it_is_unlocked() {
    let config = unlocked_late(CacheConfig::Off);
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let mut state = State::new(&config, &source, &tested());
    let mesh = Mesh::alone();
    let parts = Parts::new(&config, &mesh, &source, state.sides().clone());
    let mut feed = Feed::when_asked(parts);
    let mut image = vec![part_of(&state, &state.flat, "image.")];
    for step in 1..=5 {
        let update = state.update(&config, &mesh, &mut feed, step, true);
        let learning = update.unwrap().details.unwrap().staleness.into_keys();
        assert_eq!(
            learning.filter(|layer| layer.starts_with("image.")).count() > 0,
            step > 3
        );
        image.push(part_of(&state, &state.flat, "image."));
        if step == 4 {
            // A first update of moments that begin here: each weight by the rate, whatever its gradient.
            let rate = config.optim.schedule.factor(36, 12, 96) * config.optim.lr;
            let moved = image[3].iter().zip(&image[4]).map(|(a, b)| (a - b).abs());
            let most = f64::from(moved.fold(0.0, f32::max));
            assert!((0.99..1.2).contains(&(most / rate)), "{most} {rate}");
        }
    }
    let stays: Vec<bool> = image.windows(2).map(|pair| pair[0] == pair[1]).collect();
    assert_eq!(stays, [true, true, true, false, false]);
}

#[test]
fn what_a_tower_is_unlocked_from_changes_no_bit() {
    if !keeps_bits() {
        return;
    }
    let end = |config: &TrainConfig| {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(config, &dir, &AtomicBool::new(false));
        assert!(!dir.embeddings("image").exists());
        last_files(&dir)
    };
    for micro_batch in [0, 5] {
        let ends = [CacheConfig::Off, CacheConfig::Memory, CacheConfig::Disk].map(|cache| {
            let mut config = unlocked_late(cache);
            config.train.micro_batch = micro_batch;
            end(&config)
        });
        assert!(ends[0] == ends[1] && ends[0] == ends[2], "{micro_batch}");
    }
}

#[test]
fn every_optimiser_learns_and_resumes_to_the_same_bits() {
    if !keeps_bits() {
        return;
    }
    use optim::OptimKind::{Adafactor, AdamW, Lion};
    for kind in [AdamW, Adafactor, Lion] {
        let mut config = unlocked_late(CacheConfig::Disk);
        // Wide enough for matrices whose moments Adafactor factors.
        (config.model.image.width, config.model.text.width) = (32, 32);
        (config.optim.kind, config.optim.schedule.warmup) = (kind, 0);
        config.optim.lr = if kind == Lion { 2e-3 } else { 1e-2 };
        config.train.examples = 12 * 60;
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (RunDir::new(one.path()), RunDir::new(two.path()));
        run(&config, &one, &AtomicBool::new(false));
        let losses: Vec<f64> = rows(&one).iter().map(|row| row.values["loss"]).collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(
            mean(&losses[50..]) < 0.97 * mean(&losses[..10]),
            "{kind:?} {losses:?}"
        );

        // Stopped before the tower is unlocked and after it.
        for after in [2, 5] {
            let stop = std::sync::Arc::new(AtomicBool::new(false));
            let voice = StopOnceSaid(format!("saved step-{after}"), stop.clone());
            let events = EventLog::open(&two).unwrap();
            let mut recorder = Recorder::new(two.clone(), events, Box::new(voice)).unwrap();
            let mut hasty = config.clone();
            hasty.train.save_seconds = 0.0;
            let starts = BTreeMap::new();
            let ending = train(&hasty, &[tested()], &starts, &mut recorder, &stop);
            assert_eq!(ending.unwrap(), Ending::Stopped);
        }
        run(&config, &two, &AtomicBool::new(false));
        assert_eq!(last_files(&one), last_files(&two), "{kind:?}");
        assert!(!two.embeddings("image").exists());
    }
}

#[test]
fn looking_closer_changes_no_bit() {
    let mut config = tiny();
    let mut end = |log_every| {
        config.train.log_every = log_every;
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(&config, &dir, &AtomicBool::new(false));
        let looks = rows(&dir).len();
        (
            looks,
            checkpoint::latest(&dir).unwrap().0.unwrap().manifest.files,
        )
    };
    let (often, seldom) = (end(1), end(1_000));
    assert_eq!((often.0, seldom.0), (8, 1));
    assert_eq!(often.1, seldom.1, "hashes of model and optimiser");
}

#[test]
fn rows_tell_the_staleness_of_what_is_learned_and_the_norm_of_all() {
    let mut config = tiny();
    let mut loss = SigmoidConfig::default();
    loss.log_t.learned = false;
    config.loss = LossConfig::Sigmoid(loss);
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(&config, &dir, &AtomicBool::new(false));
    let rows = rows(&dir);
    let layers = |row: &Row| -> Vec<String> {
        let keys = row.values.keys();
        keys.filter_map(|key| Some(key.strip_prefix("staleness/")?.to_owned()))
            .collect()
    };
    for row in &rows {
        assert_eq!(
            layers(row),
            [
                "bias",
                "image.block.0",
                "image.embed",
                "image.head",
                "text.block.0",
                "text.embed",
                "text.head"
            ]
        );
    }
    let first = |layer: &str| rows[0].values[&format!("staleness/{layer}")];
    assert!(
        (first("bias") - 1.0).abs() < 1e-5,
        "the moment is the square"
    );
    // Of the words, those of no caption have no gradient; of the keys, a bias moves no attention.
    assert!(first("text.embed") < first("image.block.0") && first("image.block.0") < 1.0);

    let end = checkpoint::latest(&dir).unwrap().0.unwrap();
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let mut state = State::new(&config, &source, &tested());
    snapshot::restore(&mut state, &end).unwrap();
    let squares = device::host(state.flat)
        .into_iter()
        .map(|x| f64::from(x).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    assert!((rows[7].values["param_norm"] / norm - 1.0).abs() < 1e-5);
    assert!(!rows[0].values.contains_key("negatives_kept"));
}

#[test]
fn a_clamped_logit_scale_stays_in_its_range() {
    let scales = |loss: LossConfig| {
        let mut config = tiny();
        // Steps so large that t' leaves the range when nothing holds it.
        (config.loss, config.optim.lr) = (loss, 0.5);
        config.validate().unwrap();
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(&config, &dir, &AtomicBool::new(false));
        let rows = rows(&dir).into_iter();
        let scales = rows.map(|row| row.values["logit_scale"]);
        scales.collect::<Vec<_>>()
    };
    let within = |t: &f64| (1.0..10.001).contains(t);
    for learned in [true, false] {
        let held = LogT {
            init: LogTInit::Number(10.0_f64.ln()),
            learned,
            clamp: 10.0,
        };
        let free = LogT {
            clamp: 0.0,
            ..held.clone()
        };
        let sigmoid = |log_t: &LogT| {
            LossConfig::Sigmoid(SigmoidConfig {
                log_t: log_t.clone(),
                ..SigmoidConfig::default()
            })
        };
        assert!(scales(sigmoid(&held)).iter().all(within));
        assert_eq!(scales(sigmoid(&free)).iter().all(within), !learned);
    }
    let mut softmax = SoftmaxConfig::default();
    (softmax.log_t.clamp, softmax.log_t.init) = (10.0, LogTInit::Number(10.0_f64.ln()));
    assert!(scales(LossConfig::Softmax(softmax)).iter().all(within));

    let problem = |clamp, init| {
        let mut loss = SigmoidConfig::default();
        (loss.log_t.clamp, loss.log_t.init) = (clamp, LogTInit::Number(init));
        let mut config = tiny();
        config.loss = LossConfig::Sigmoid(loss);
        config.validate().map_err(|e| e.key)
    };
    assert_eq!(problem(100.0, 100.0_f64.ln()), Ok(()));
    assert_eq!(problem(0.0, 5.0), Ok(()));
    assert_eq!(problem(100.0, 4.7), Err("loss.log_t.init"));
    assert_eq!(problem(100.0, -0.1), Err("loss.log_t.init"));
    assert_eq!(problem(0.5, 0.0), Err("loss.log_t.clamp"));
    assert_eq!(problem(-1.0, 0.0), Err("loss.log_t.clamp"));
    assert_eq!(problem(f64::NAN, 0.0), Err("loss.log_t.clamp"));
}

#[test]
fn rows_say_what_a_loss_means() {
    for loss in every_loss() {
        let mut config = tiny();
        config.loss = loss;
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(&config, &dir, &AtomicBool::new(false));
        let rows = rows(&dir);
        let cap = match config.loss {
            LossConfig::Sigmoid(_) => Some(12.0_f64.ln() + 11.0 * (12.0_f64 / 11.0).ln()),
            LossConfig::Softmax(_) => Some(12.0_f64.ln()),
            LossConfig::Classify(_) => None,
        };
        for row in &rows {
            let bound = row.values.get("mi_bound").copied();
            let expected = cap.map(|cap| cap - row.values["loss"]);
            assert!(bound.is_some() == expected.is_some());
            assert!((bound.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
            assert_eq!(
                row.values.contains_key("expected_loss"),
                row.step == 1 && cap.is_some()
            );
        }
    }
}

#[test]
fn rows_count_the_negatives_that_were_kept() {
    let kept = |keep| -> Vec<f64> {
        let mut config = tiny();
        (config.loss, config.train.ranks) = (with_few_negatives(keep), 2);
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        run(&config, &dir, &AtomicBool::new(false));
        let rows = rows(&dir).into_iter();
        rows.map(|row| row.values["negatives_kept"]).collect()
    };
    assert_eq!(kept(Keep::Hard), [36.0; 8]);
    assert_eq!(kept(Keep::Easy), [36.0; 8]);
    let random = kept(Keep::Random);
    assert!(random.iter().any(|&count| count != random[0]));
    assert!(random.iter().all(|&count| (15.0..60.0).contains(&count)));
}

#[test]
fn a_loss_that_is_not_finite_is_an_outcome() {
    let mut config = tiny();
    (
        config.optim.lr,
        config.optim.clip_norm,
        config.optim.schedule.warmup,
    ) = (1e30, 0.0, 0);
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    let Ending::Finished(Outcome::Diverged { reason }) =
        run(&config, &dir, &AtomicBool::new(false))
    else {
        panic!("expected divergence")
    };
    assert!(reason.contains("gradient norm"), "{reason}");
}

#[test]
fn a_tower_starts_with_another_runs_weights() {
    let mut pretraining = tiny();
    pretraining.loss = LossConfig::Classify(loss::ClassifyConfig::default());
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    run(&pretraining, &dir, &AtomicBool::new(false));
    let start = checkpoint::latest(&dir).unwrap().0.unwrap();

    let config = tiny();
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let device = tested();
    let parameter = |state: &State, name: &str| {
        device::host(
            state
                .flat
                .clone()
                .slice(state.layout.get(name).unwrap().range.clone()),
        )
    };
    let mut state = State::new(&config, &source, &device);
    let projection = parameter(&state, "image.projection.weight");
    snapshot::import_tower(&mut state, "image", &start).unwrap();
    let mut pretrained = State::new(&pretraining, &source, &device);
    snapshot::restore(&mut pretrained, &start).unwrap();
    assert_eq!(
        parameter(&state, "image.blocks.0.mlp.up.weight"),
        parameter(&pretrained, "image.blocks.0.mlp.up.weight")
    );
    assert_eq!(parameter(&state, "image.projection.weight"), projection);

    let mut wider = tiny();
    wider.model.image.depth = 2;
    let error = snapshot::import_tower(&mut State::new(&wider, &source, &device), "image", &start)
        .unwrap_err();
    assert!(format!("{error:#}").contains("image.blocks.1"), "{error:#}");
}
