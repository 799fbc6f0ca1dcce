//! What the data set promises: the same for ever, closed, balanced, and classes that training never shows.

use std::collections::BTreeSet;

use super::*;
use crate::train::data::text::words::UNKNOWN;
use scene::{COLOURS, CORNERS, Object, SHAPES, SIZES, TEXTURES};

/// All there is to an example.
#[derive(Clone, Debug, PartialEq)]
struct Example {
    pixels: Vec<f32>,
    caption: String,
    class: u16,
}

impl Shapes {
    fn train_example(&self, run_seed: u64, index: u64) -> Example {
        self.example(Address::Train { run_seed, index })
    }

    fn eval_example(&self, index: u64) -> Example {
        self.example(Address::Eval { index })
    }

    fn example(&self, at: Address) -> Example {
        Example {
            pixels: self.picture(at),
            caption: self.caption(at),
            class: self.class(at),
        }
    }
}

fn shapes() -> Shapes {
    Shapes::new(&ShapesConfig::default())
}

fn train_scene(set: &Shapes, index: u64) -> Scene {
    let mut dice = Dice::new(set.config.seed, 1, Stream::Train, index);
    let class = *dice.pick(&set.seen);
    set.scene(class, &mut dice)
}

#[test]
fn examples_never_change() {
    let set = shapes();
    let mut hash = blake3::Hasher::new();
    for example in (0..64)
        .map(|i| set.train_example(1, i))
        .chain((0..64).map(|i| set.eval_example(i)))
    {
        example.pixels.iter().for_each(|value| {
            hash.update(&value.to_le_bytes());
        });
        hash.update(example.caption.as_bytes());
        hash.update(&example.class.to_le_bytes());
    }
    assert_eq!(hash.finalize().to_hex()[..16], *"b649db3995673c3f");
}

#[test]
fn captions_read_like_this() {
    let set = shapes();
    let captions: Vec<_> = (0..12).map(|i| set.train_example(1, i).caption).collect();
    insta::assert_snapshot!(captions.join("\n"), @"
    an image of a pink rhombus on a black background
    a picture of a plain purple square against a maroon backdrop
    moon, cyan
    one big orange rhombus
    an orange heart
    a striped lime plus against a maroon backdrop
    a blue rhombus beside a red hoop at the top right on a black background
    triangle, green
    a picture of a small turquoise hexagon next to a pink square at the bottom right
    a checkered yellow arrow
    a picture of a large dotted lime heart on a black background
    one lime circle
    ");
}

#[test]
fn evaluation_does_not_hear_of_the_run_and_training_does() {
    let set = shapes();
    let other = Shapes::new(&ShapesConfig {
        seed: 1,
        ..ShapesConfig::default()
    });
    assert_ne!(set.train_example(1, 5), set.train_example(2, 5));
    assert_ne!(set.train_example(1, 5), set.train_example(1, 6));
    assert_ne!(set.eval_example(5), other.eval_example(5));
}

#[test]
fn noise_and_size_change_the_pixels_alone() {
    let plain = Shapes::new(&ShapesConfig {
        noise: 0.0,
        ..ShapesConfig::default()
    });
    let large = Shapes::new(&ShapesConfig {
        image_size: 64,
        ..ShapesConfig::default()
    });
    for index in 0..20 {
        let (a, b, c) = (
            shapes().eval_example(index),
            plain.eval_example(index),
            large.eval_example(index),
        );
        assert_eq!([&a.caption; 2], [&b.caption, &c.caption]);
        assert_eq!(c.pixels.len(), 4 * a.pixels.len());
        let apart = a
            .pixels
            .iter()
            .zip(&b.pixels)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!((0.09..=0.1001).contains(&apart), "{apart}");
    }
}

#[test]
fn a_second_view_is_another_picture_that_the_same_could_be_said_of() {
    let set = Shapes::new(&ShapesConfig {
        distractors: 2,
        ..ShapesConfig::default()
    });
    let said = |scene: &Scene| {
        let others = scene
            .others
            .iter()
            .map(|(other, corner)| (other.class, *corner));
        let others: Vec<_> = others.collect();
        let main = (scene.main.class, scene.main.texture, scene.size);
        (main, others, scene.background)
    };
    for index in 0..200 {
        let scene = train_scene(&set, index);
        let again = scene.again(0.05, &mut Dice::new(0, 1, Stream::TrainAgain, index));
        assert_eq!(said(&scene), said(&again));
        let drawn = |scene: &Scene| {
            let Object {
                x,
                y,
                radius,
                turn,
                stretch,
                paint,
                ..
            } = scene.main;
            [
                &[x, y, radius, turn, stretch, scene.slope.0, scene.light],
                &paint[..],
            ]
            .concat()
        };
        let pairs = drawn(&scene).into_iter().zip(drawn(&again));
        // Paint is cut off at 1, where it may meet itself.
        assert!(
            pairs.filter(|(a, b)| a == b).count() <= 2,
            "{scene:?} {again:?}"
        );

        let at = Address::Train { run_seed: 1, index };
        let (first, second) = (set.picture(at), set.second_picture(at));
        assert_eq!(second, set.second_picture(at));
        assert!(first.len() == second.len() && first != second);
    }
    let at = Address::Eval { index: 3 };
    assert_ne!(set.picture(at), set.second_picture(at));
}

#[test]
fn held_out_classes_never_appear_in_training() {
    let set = Shapes::new(&ShapesConfig {
        distractors: 3,
        ..ShapesConfig::default()
    });
    let classes = set.classes();
    for index in 0..50_000 {
        let scene = train_scene(&set, index);
        for object in scene
            .others
            .iter()
            .map(|(other, _)| other)
            .chain([&scene.main])
        {
            assert!(!classes[object.class.0 as usize].held_out, "{object:?}");
        }
    }
}

#[test]
fn every_shape_and_colour_is_seen_and_is_held_out_once_or_twice() {
    let held_out: Vec<_> = ClassId::all().filter(|class| class.held_out()).collect();
    assert!((12..=24).contains(&held_out.len()), "{}", held_out.len());
    for shape in 0..SHAPES.len() {
        assert!(
            (1..=2).contains(
                &held_out
                    .iter()
                    .filter(|class| class.shape() == shape)
                    .count()
            )
        );
    }
    for colour in 0..COLOURS.len() {
        assert!(
            (1..=2).contains(
                &held_out
                    .iter()
                    .filter(|class| class.colour() == colour)
                    .count()
            )
        );
    }
    let names: BTreeSet<_> = shapes()
        .classes()
        .into_iter()
        .map(|class| class.name)
        .collect();
    assert_eq!(names.len(), usize::from(ClassId::COUNT));
}

#[test]
fn evaluation_goes_round_all_classes() {
    let set = shapes();
    let count = u64::from(ClassId::COUNT);
    for index in (0..2 * count).step_by(7) {
        assert_eq!(u64::from(set.eval_example(index).class), index % count);
    }
}

#[test]
fn no_caption_has_a_word_outside_the_vocabulary() {
    let set = Shapes::new(&ShapesConfig {
        distractors: 2,
        image_size: 8,
        ..ShapesConfig::default()
    });
    let vocabulary = set.vocabulary();
    let mut used = BTreeSet::new();
    for index in 0..100_000 {
        let caption = set.caption(Address::Train { run_seed: 3, index });
        let ids: Vec<i32> = vocabulary.ids(&caption).collect();
        assert!(!ids.contains(&UNKNOWN));
        used.extend(ids);
    }
    assert!(
        used.into_iter().eq(vocabulary.plain()),
        "every word is in use"
    );
}

#[test]
fn captions_tell_colour_and_shape_first() {
    let set = shapes();
    for index in 0..2_000 {
        let mut dice = Dice::new(0, 1, Stream::Train, index);
        let class = *dice.pick(&set.seen);
        let example = set.train_example(1, index);
        let first: Vec<_> = example.caption.split([' ', ',']).take(9).collect();
        for words in [SHAPES[class.shape()].words, COLOURS[class.colour()].words] {
            assert!(
                words.iter().any(|word| first.contains(word)),
                "{}",
                example.caption
            );
        }
    }
}

#[test]
fn attributes_are_uniform() {
    let set = shapes();
    let mut counts = [
        set.seen.len(),
        TEXTURES.len(),
        SIZES.len(),
        2,
        CORNERS.len(),
    ]
    .map(|n| vec![0; n]);
    for index in 0..50_000 {
        let scene = train_scene(&set, index);
        let class = set.seen.iter().position(|class| *class == scene.main.class);
        let corner = scene.others.first().map(|(_, corner)| *corner);
        let drawn = [
            class,
            Some(scene.main.texture),
            Some(scene.size),
            Some(scene.others.len()),
            corner,
        ];
        for (counts, value) in counts.iter_mut().zip(drawn) {
            if let Some(value) = value {
                counts[value] += 1;
            }
        }
    }
    for counts in counts {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let chi_square: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - expected).powi(2) / expected)
            .sum();
        // Mean n - 1, variance 2 (n - 1): four deviations.
        let freedom = counts.len() as f64 - 1.0;
        assert!(
            chi_square < freedom + 4.0 * (2.0 * freedom).sqrt() + 4.0,
            "{chi_square} of {freedom}"
        );
    }
}

#[test]
fn languages_that_shapes_are_not_told_in_are_refused() {
    let refused = |languages: &[&str], weights: &[f64]| {
        let tags = languages.iter().map(|tag| Language::new(tag).unwrap());
        let config = ShapesConfig {
            languages: tags.collect(),
            language_weights: weights.to_vec(),
            ..ShapesConfig::default()
        };
        config.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&["en", "ja"], &[]),
        "data.languages: shapes are told in en, de, fr, he, zh, and not in ja"
    );
    assert!(refused(&["he", "iw"], &[]).contains("he is there twice"));
    assert!(refused(&[], &[]).starts_with("data.languages"));
    assert!(refused(&["en", "de"], &[1.0]).starts_with("data.language_weights"));
    assert!(refused(&["en"], &[0.0]).starts_with("data.language_weights"));
}

#[test]
fn the_language_of_an_example_is_that_of_its_caption() {
    let languages = ["de", "zh"].map(|tag| Language::new(tag).unwrap());
    let set = Shapes::new(&ShapesConfig {
        languages: languages.to_vec(),
        ..ShapesConfig::default()
    });
    for index in 0..200 {
        let at = Address::Eval { index };
        let chinese = !set.caption(at).is_ascii() && !set.caption(at).contains(' ');
        assert_eq!(
            *set.language(at) == languages[1],
            chinese,
            "{}",
            set.caption(at)
        );
    }
}
