//! Parts add up to batches whatever they are, nothing is drawn that is not asked for, and a loader ends with its feed.

use std::collections::BTreeSet;
use std::thread;

use super::*;
use crate::train::TrainConfig;
use crate::train::cache::Cache;
use crate::train::data::{CorruptConfig, DataConfig, FilesConfig, Source};
use crate::train::device::tested;
use crate::train::inputs::{Content, Floats};
use crate::train::mesh::Mesh;
use crate::train::side::{Reading, Side};

fn config(alignment: f64) -> TrainConfig {
    let mut config = TrainConfig::default();
    config.train.batch_size = 24;
    let DataConfig::Shapes(shapes) = &mut config.data else {
        unreachable!("the default")
    };
    shapes.pairs = 40;
    shapes.image_size = 16;
    shapes.corrupt = CorruptConfig {
        alignment,
        ..CorruptConfig::default()
    };
    config
}

fn open(config: &TrainConfig) -> Source {
    Source::open(&config.data, config.model.text.context, config.seed).unwrap()
}

fn values(content: &Content) -> Vec<f64> {
    match content {
        Content::Pixels(Floats::Drawn(data)) | Content::Vectors(Floats::Drawn(data)) => {
            data.iter::<f64>().collect()
        }
        Content::Tokens(data) => data.iter::<f64>().collect(),
        sent => panic!("{sent:?}"),
    }
}

fn drawn(part: &Part, side: usize) -> Vec<f64> {
    match &part.sides[side] {
        Some(Reading::Drawn(content)) => values(content),
        other => panic!("{other:?}"),
    }
}

/// What both sides read of update `step` on all ranks, in parts of `micro_batch`.
fn batch(config: &TrainConfig, step: u64, ranks: usize, micro_batch: usize) -> [Vec<f64>; 2] {
    let mut config = config.clone();
    (config.train.ranks, config.train.micro_batch) = (ranks, micro_batch);
    let source = open(&config);
    let mut batch = [Vec::new(), Vec::new()];
    for mesh in Mesh::ring(ranks) {
        let mut parts = Parts::new(&config, &mesh, &source, Side::both(&config));
        for ask in parts.asks(step).filter(|ask| ask.pass == Pass::First) {
            let part = parts.draw(ask, &AtomicBool::new(false)).unwrap().unwrap();
            (0..2).for_each(|side| batch[side].extend(drawn(&part, side)));
        }
    }
    batch
}

#[test]
fn parts_of_all_ranks_are_the_batch() {
    for alignment in [0.0, 0.5] {
        let config = config(alignment);
        // The second update goes from one epoch to the next.
        for step in [1, 2] {
            let whole = batch(&config, step, 1, 0);
            for (ranks, micro_batch) in [(1, 24), (1, 7), (1, 1), (2, 0), (3, 3), (4, 5)] {
                assert!(
                    batch(&config, step, ranks, micro_batch) == whole,
                    "{ranks} {micro_batch}"
                );
            }
        }
    }
}

#[test]
fn misaligned_pairs_have_the_texts_of_others_and_no_text_is_lost() {
    let context = TrainConfig::default().model.text.context;
    let [clean, moved] = [0.0, 0.5].map(|alignment| batch(&config(alignment), 1, 1, 0));
    assert!(clean[0] == moved[0], "pictures stay");
    let texts = |batch: &[Vec<f64>; 2]| -> Vec<Vec<u64>> {
        let texts = batch[1].chunks_exact(context);
        texts
            .map(|text| text.iter().map(|id| *id as u64).collect())
            .collect()
    };
    let (before, after) = (texts(&clean), texts(&moved));
    let all = |texts: &[Vec<u64>]| texts.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(all(&before), all(&after));
    let astray = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    // Two examples may happen to say the same.
    assert!((10..=12).contains(&astray), "{astray}");
}

#[test]
fn what_a_cache_has_is_not_drawn() {
    let mut config = config(0.0);
    config.optim.image.lr_mult = 0.0;
    config.train.micro_batch = 10;
    let source = open(&config);
    let mut cache = Cache::in_memory(40, 3).unwrap();
    (0..40).for_each(|index| cache.put(index, &[index as f32; 3]));
    let mut sides = Side::both(&config);
    sides[0].cache = Some(Arc::new(std::sync::Mutex::new(cache)));
    let mut parts = Parts::new(&config, &Mesh::alone(), &source, sides);
    let asks: Vec<Ask> = parts.asks(1).collect();
    assert_eq!(asks.len(), 6, "three parts, and again for the texts");
    for ask in asks {
        let part = parts.draw(ask, &AtomicBool::new(false)).unwrap().unwrap();
        match (ask.pass, &part.sides) {
            (Pass::First, [Some(Reading::Kept(_)), Some(Reading::Drawn(_))]) => {}
            (Pass::Again, [None, Some(Reading::Drawn(_))]) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_loader_ends_with_its_feed_and_draws_no_more_than_was_asked_for() {
    let config = config(0.0);
    let source = open(&config);
    let pool = pool().unwrap();
    let mesh = Mesh::alone();
    let parts = || Parts::new(&config, &mesh, &source, Side::both(&config));
    thread::scope(|scope| {
        // The scope waits for its threads: with a loader that went on, it would take years.
        let mut feed = Feed::ahead(2, parts(), 1..=u64::MAX >> 8, &tested(), &pool, scope).unwrap();
        for ask in parts().asks(1) {
            assert_eq!(feed.take(ask).unwrap().ask, ask);
        }
        assert!(feed.waited() > Duration::ZERO);
    });
    thread::scope(|scope| {
        let mut feed = Feed::ahead(9, parts(), 1..=2, &tested(), &pool, scope).unwrap();
        for ask in [1, 2].into_iter().flat_map(|step| parts().asks(step)) {
            feed.take(ask).unwrap();
        }
        let over = Ask {
            step: 3,
            pass: Pass::First,
            part: 0,
        };
        let more = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| feed.take(over)));
        assert!(more.is_err(), "there is nothing after the last update");
    });
}

#[test]
fn an_error_comes_with_the_part_that_cannot_be_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("filepath,title\n");
    for i in 0..16 {
        image::RgbImage::from_pixel(8, 8, image::Rgb([i * 16; 3]))
            .save(folder.path().join(format!("{i}.png")))
            .unwrap();
        table += &format!("{i}.png,picture {i}\n");
    }
    std::fs::write(folder.path().join("pairs.csv"), table).unwrap();
    let mut config = TrainConfig::default();
    config.train.batch_size = 4;
    config.model.text.context = 16;
    config.data = DataConfig::Csv(FilesConfig {
        path: folder.path().join("pairs.csv").display().to_string(),
        image_size: 8,
        max_broken: 0.0,
        ..FilesConfig::default()
    });
    let mesh = Mesh::alone();
    // The third update of the first epoch is to read a picture that is none.
    let source = open(&config);
    let broken = source.train(8..9).unwrap()[0].index();
    std::fs::write(folder.path().join(format!("{broken}.png")), "no picture").unwrap();
    let pool = pool().unwrap();
    for ahead in [0, 1, 5] {
        // What one has found to be broken, it would not try again.
        let source = open(&config);
        let parts = || Parts::new(&config, &mesh, &source, Side::both(&config));
        thread::scope(|scope| {
            let mut feed = Feed::ahead(ahead, parts(), 1..=4, &tested(), &pool, scope).unwrap();
            let ask = |step| parts().asks(step).next().unwrap();
            assert!(feed.take(ask(1)).is_ok() && feed.take(ask(2)).is_ok());
            let error = feed.take(ask(3)).unwrap_err().to_string();
            assert!(error.contains(&format!("{broken}.png")), "{error}");
        });
    }
}
