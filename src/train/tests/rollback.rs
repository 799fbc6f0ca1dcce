//! Runs that go back from a divergence: they leave the bad batches out, end, and end with the same bits whoever killed them
//! on the way and whatever checkpoints there were; the events alone are enough to take the same way again.

use super::*;
use crate::train::data::{DataConfig, FilesConfig};
use crate::train::model::TowerKind;
use crate::train::rollback::{Detours, RollbackConfig};
use crate::util::disk::fault::{Death, Fault, Plan, live};
use safetensors::tensor::{Dtype, TensorView};

const BATCH: usize = 10;
const STEPS: u64 = 30;

/// What is wrong with the images of a batch.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    /// They are so large that the tower overflows.
    Huge,
    /// They are of other texts.
    Mismatched,
}

/// A run over vectors in `folder`, of which the batches `bad` are `wrong`. It goes back `times` times.
fn over_vectors(folder: &std::path::Path, bad: &[u64], wrong: Wrong, times: u64) -> TrainConfig {
    let rows = 100 * BATCH;
    let number = |row: usize, column: usize| {
        let mixed = crate::train::splitmix::scramble((8 * row + column) as u64);
        mixed as f32 / u64::MAX as f32 * 2.0 - 1.0
    };
    let vectors = |width: usize, is_image: bool| -> Vec<u8> {
        let places = (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
        let numbers = places.map(|(row, column)| {
            let is_bad = is_image && bad.contains(&(1 + (row / BATCH) as u64));
            match wrong {
                Wrong::Huge if is_bad => f32::MAX.copysign(number(row, column)),
                Wrong::Mismatched if is_bad => number(row + 1, column),
                _ => number(row, column),
            }
        });
        numbers.flat_map(f32::to_le_bytes).collect()
    };
    let (image, text) = (vectors(6, true), vectors(4, false));
    for (name, bytes, width) in [("image", &image, 6), ("text", &text, 4)] {
        let view = TensorView::new(Dtype::F32, vec![rows, width], bytes).unwrap();
        let file = safetensors::serialize([(name, view)], None).unwrap();
        std::fs::write(folder.join(format!("{name}.safetensors")), file).unwrap();
    }
    let mut config = tiny();
    config.data = DataConfig::Features(FilesConfig {
        path: folder.to_str().unwrap().into(),
        image: "image.safetensors".into(),
        caption: "text.safetensors".into(),
        // In the order of the file.
        shuffle: 1,
        ..FilesConfig::default()
    });
    config.model.image.tower = TowerKind::Features;
    config.model.text.tower = TowerKind::Features;
    config.eval.every = 0;
    (config.train.batch_size, config.train.examples) = (BATCH, BATCH as u64 * STEPS);
    config.train.save_seconds = 0.0;
    config.train.rollback = RollbackConfig {
        times,
        back: 3,
        skip: 8,
        spike: 0.0,
    };
    config.validate().unwrap();
    config
}

/// Attempt after attempt, as a worker makes them, until one is not to be followed.
fn to_the_end(config: &TrainConfig, dir: &RunDir) -> Ending {
    loop {
        match run(config, dir, &AtomicBool::new(false)) {
            Ending::RolledBack => {}
            ending => return ending,
        }
    }
}

fn detours(dir: &RunDir) -> Detours {
    Detours::of(&read_events(dir).unwrap())
}

/// The step that the run first went back from, the one it went back to, and what it left out.
fn first_divergence(dir: &RunDir) -> (u64, u64, Vec<[u64; 2]>) {
    let events = read_events(dir).unwrap().into_iter();
    let mut found = events.filter_map(|line| match line.event {
        Event::RolledBack {
            step, to, left_out, ..
        } => Some((step, to, left_out)),
        _ => None,
    });
    found.next().expect("it went back")
}

#[test]
fn a_run_goes_back_leaves_the_batches_out_and_says_which() {
    for ranks in [1, 2] {
        let tmp = tempfile::tempdir().unwrap();
        let mut config = over_vectors(tmp.path(), &[12], Wrong::Huge, 1);
        config.train.ranks = ranks;
        let dir = RunDir::new(tmp.path().join("run"));
        std::fs::create_dir(dir.path()).unwrap();
        assert_eq!(
            to_the_end(&config, &dir),
            Ending::Finished(Outcome::Completed)
        );
        let (step, to, left_out) = first_divergence(&dir);
        assert_eq!(to, step - 3);
        assert_eq!(left_out, [[to + 1, to + 8]]);
        let all = rows(&dir);
        let last = all.iter().filter(|row| row.attempt == 2);
        let steps: Vec<u64> = last.map(|row| row.step).collect();
        assert_eq!(steps.last(), Some(&STEPS));
        assert!(steps[0] <= to + 1, "{steps:?}");
    }
}

#[test]
fn divergence_after_the_last_way_back_is_the_outcome() {
    let tmp = tempfile::tempdir().unwrap();
    let bad: Vec<u64> = (12..100).collect();
    let config = over_vectors(tmp.path(), &bad, Wrong::Huge, 2);
    let dir = RunDir::new(tmp.path().join("run"));
    std::fs::create_dir(dir.path()).unwrap();
    let ending = to_the_end(&config, &dir);
    assert!(matches!(ending, Ending::Finished(Outcome::Diverged { .. })));
    assert_eq!(detours(&dir).times, 2);
    assert_eq!(read_events(&dir).unwrap().last().unwrap().attempt, 3);
}

#[test]
fn the_events_alone_are_enough_to_take_the_same_way() {
    let tmp = tempfile::tempdir().unwrap();
    let config = over_vectors(tmp.path(), &[8, 20], Wrong::Huge, 2);
    let [first, again] = ["first", "again"].map(|name| RunDir::new(tmp.path().join(name)));
    for dir in [&first, &again] {
        std::fs::create_dir(dir.path()).unwrap();
    }
    to_the_end(&config, &first);
    assert_eq!(detours(&first).times, 2);
    std::fs::copy(first.events(), again.events()).unwrap();
    assert_eq!(
        run(&config, &again, &AtomicBool::new(false)),
        Ending::Finished(Outcome::Completed)
    );
    assert_eq!(last_files(&first), last_files(&again));
    assert_eq!(detours(&first), detours(&again));
}

/// Die at the operations `at` of the disk, counted over all attempts, and hold the end against that of a calm run. How
/// many deaths there were.
fn die(config: &TrainConfig, root: &std::path::Path, at: impl Iterator<Item = usize>) -> usize {
    let dir = |name: String| {
        let dir = RunDir::new(root.join(name));
        std::fs::create_dir(dir.path()).unwrap();
        dir
    };
    let calm = dir("calm".into());
    to_the_end(config, &calm);
    assert!(detours(&calm).times > 0, "it never went back");
    let mut deaths = 0;
    for n in at {
        let killed = dir(format!("killed-{n}"));
        let plan = Plan::begin(
            n..n + 1,
            Fault::Dies {
                half_way: n % 2 == 1,
                by: [Death::Unwinds, Death::LosesPower][n / 2 % 2],
            },
        );
        let lived = live(|| to_the_end(config, &killed)).is_some();
        let met = plan.met();
        drop(plan);
        if !met {
            break;
        }
        deaths += usize::from(!lived);
        assert_eq!(
            to_the_end(config, &killed),
            Ending::Finished(Outcome::Completed)
        );
        assert_eq!(last_files(&calm), last_files(&killed), "death at {n}");
        assert_eq!(detours(&calm), detours(&killed), "death at {n}");
        std::fs::remove_dir_all(killed.path()).unwrap();
    }
    deaths
}

#[test]
fn killed_on_its_way_back_it_ends_with_the_same_bits() {
    let tmp = tempfile::tempdir().unwrap();
    let config = over_vectors(tmp.path(), &[12], Wrong::Huge, 1);
    let deaths = die(&config, tmp.path(), (3..).step_by(37));
    assert!(deaths >= 10, "{deaths}");
}

#[test]
#[ignore = "a run for each operation of one: some minutes"]
fn killed_anywhere_it_ends_with_the_same_bits() {
    let tmp = tempfile::tempdir().unwrap();
    let config = over_vectors(tmp.path(), &[12, 25], Wrong::Huge, 2);
    let deaths = die(&config, tmp.path(), 0..);
    assert!(deaths >= 300, "{deaths}");
}

#[test]
fn a_spike_is_gone_back_from_and_checkpoints_remember_what_was_usual() {
    let tmp = tempfile::tempdir().unwrap();
    let mut config = over_vectors(tmp.path(), &[80, 81, 82, 83], Wrong::Mismatched, 1);
    config.loss = LossConfig::Softmax(SoftmaxConfig::default());
    config.train.examples = BATCH as u64 * 90;
    config.train.rollback.spike = 5.0;
    let deaths = die(&config, tmp.path(), (1_201..).step_by(499));
    assert!(deaths >= 1, "{deaths}");
    let calm = RunDir::new(tmp.path().join("calm"));
    assert_eq!(first_divergence(&calm), (82, 79, vec![[80, 87]]));
    assert!(last_files(&calm).contains_key("watch.bin"));
    let again = RunDir::new(tmp.path().join("again"));
    std::fs::create_dir(again.path()).unwrap();
    std::fs::copy(calm.events(), again.events()).unwrap();
    run(&config, &again, &AtomicBool::new(false));
    assert_eq!(last_files(&calm), last_files(&again));
}
