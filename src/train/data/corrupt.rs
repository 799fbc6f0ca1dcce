//! Noise put into the training pairs on purpose, to see what a loss makes of it (arXiv 2303.15343, section 4.10). Which
//! pairs it meets, and with what, follows from the run's seed alone, and evaluation never meets any.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::order::Order;
use super::text::Tokenizer;
use crate::train::config::{ConfigError, check};

/// Shares of the training pairs that are spoilt on purpose, each independently of the others: the same pairs in every epoch, but for
/// the alignment. All at 0 is none; `{ image = 0.2, text = 0.2 }` is a combination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorruptConfig {
    /// Chance that a picture is replaced by uniform noise.
    pub image: f64,
    /// Chance that a text is replaced by random tokens, as many as chance has it.
    pub text: f64,
    /// Share of each batch whose texts change places with each other, so that none of them has its own.
    pub alignment: f64,
}

impl CorruptConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            image,
            text,
            alignment,
        } = *self;
        for (key, share) in [
            ("data.corrupt.image", image),
            ("data.corrupt.text", text),
            ("data.corrupt.alignment", alignment),
        ] {
            check(key, (0.0..=1.0).contains(&share), || {
                format!("{share} is no share between 0 and 1")
            })?;
        }
        Ok(())
    }
}

/// What becomes of the training pairs of one run.
#[derive(Clone, Copy, Debug)]
pub struct Corruption {
    config: CorruptConfig,
    seed: u64,
}

/// What a stream of draws is about.
#[derive(Clone, Copy)]
enum About {
    Image,
    Noise,
    Text,
    Tokens,
}

impl Corruption {
    /// `seed` is the run's.
    pub fn new(config: CorruptConfig, seed: u64) -> Self {
        Self { config, seed }
    }

    /// The one that spoils nothing.
    pub fn none() -> Self {
        Self::new(CorruptConfig::default(), 0)
    }

    /// Noise in the place of the pictures of training example `index`; `view` tells its first from its second.
    pub fn picture(&self, index: u64, view: u64) -> Option<Noise> {
        let spoilt = self.chance(About::Image, index, view).share() < self.config.image;
        spoilt.then(|| Noise(self.chance(About::Noise, index, view)))
    }

    /// Random tokens in the place of the text of training example `index`: one to as many as there is room for, each as
    /// likely as the others, framed like any text.
    pub fn tokens(&self, index: u64, tokenizer: &Tokenizer) -> Option<Vec<i32>> {
        if self.chance(About::Text, index, 0).share() >= self.config.text {
            return None;
        }
        let mut chance = self.chance(About::Tokens, index, 0);
        let length = 1 + chance.below(tokenizer.room() as u64);
        let plain = tokenizer.plain();
        let token = |_| plain[chance.below(plain.len() as u64) as usize];
        Some(tokenizer.close((0..length).map(token)))
    }

    /// Noise in the place of the vector that stands for the text of training example `index`.
    pub fn vector(&self, index: u64) -> Option<Noise> {
        let spoilt = self.chance(About::Text, index, 0).share() < self.config.text;
        spoilt.then(|| Noise(self.chance(About::Tokens, index, 0)))
    }

    /// Which places of the batch of update `step` the texts come from; none where each pair has its own.
    pub fn alignment(&self, step: u64, batch: u64) -> Option<Alignment> {
        let count = (self.config.alignment * batch as f64).round() as u64;
        if count < 2 {
            return None;
        }
        let order = Order::new(batch, [self.seed, ALIGNMENT], step);
        let mut from: Vec<u32> = (0..batch as u32).collect();
        // The places that the order begins with, each with the text of the next: no text stays where it is.
        let mut place = order.at(0);
        for next in (1..count).chain([0]) {
            let next = order.at(next);
            from[place as usize] = next as u32;
            place = next;
        }
        Some(Alignment { from })
    }

    fn chance(&self, about: About, index: u64, view: u64) -> Chance {
        Chance::new(&[self.seed, about as u64, index, view])
    }
}

/// Tells the order of misaligned places from that of an epoch.
const ALIGNMENT: u64 = 0xA119_4E2D;

/// A picture of nothing.
#[derive(Clone, Debug)]
pub struct Noise(Chance);

impl Noise {
    /// Fill a picture with values uniform in [-1, 1).
    pub fn fill(mut self, pixels: &mut [f32]) {
        for value in pixels {
            *value = (2.0 * self.0.share() - 1.0) as f32;
        }
    }
}

/// The texts of a batch, misaligned.
#[derive(Clone, Debug)]
pub struct Alignment {
    from: Vec<u32>,
}

impl Alignment {
    /// The places in the batch that the texts of the pairs at `places` come from.
    pub fn of(&self, places: Range<u64>) -> impl Iterator<Item = u64> {
        let from = &self.from[places.start as usize..places.end as usize];
        from.iter().map(|place| u64::from(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::text::TokensConfig;

    fn corruption(image: f64, text: f64, alignment: f64, seed: u64) -> Corruption {
        let config = CorruptConfig {
            image,
            text,
            alignment,
        };
        Corruption::new(config, seed)
    }

    fn tokenizer(context: usize) -> Tokenizer {
        Tokenizer::open(&TokensConfig::default(), None, context).unwrap()
    }

    /// Whether `count` of `n` is within five deviations of what chance `p` gives.
    fn is_likely(count: usize, n: usize, p: f64) -> bool {
        let deviation = (n as f64 * p * (1.0 - p)).sqrt();
        (count as f64 - n as f64 * p).abs() <= 5.0 * deviation
    }

    #[test]
    fn as_many_are_spoilt_as_the_settings_say_and_independently() {
        let bytes = tokenizer(8);
        let n = 20_000;
        for (image, text) in [(0.0, 0.0), (0.1, 0.4), (0.5, 0.5), (1.0, 1.0)] {
            let corruption = corruption(image, text, 0.0, 3);
            let spoilt = |index| {
                let picture = corruption.picture(index, 0).is_some();
                (picture, corruption.tokens(index, &bytes).is_some())
            };
            let spoilt: Vec<(bool, bool)> = (0..n as u64).map(spoilt).collect();
            let count =
                |which: fn(&(bool, bool)) -> bool| spoilt.iter().filter(|s| which(s)).count();
            assert!(is_likely(count(|s| s.0), n, image), "image {image}");
            assert!(is_likely(count(|s| s.1), n, text), "text {text}");
            assert!(is_likely(count(|s| s.0 && s.1), n, image * text), "both");
        }
    }

    #[test]
    fn which_are_spoilt_follows_from_the_seed_and_the_example() {
        let bytes = tokenizer(8);
        let drawn = |seed, index, view| {
            let corruption = corruption(1.0, 1.0, 0.0, seed);
            let mut pixels = [0.0; 12];
            corruption.picture(index, view).unwrap().fill(&mut pixels);
            (pixels, corruption.tokens(index, &bytes).unwrap())
        };
        assert_eq!(drawn(1, 2, 0), drawn(1, 2, 0));
        for other in [drawn(2, 2, 0), drawn(1, 3, 0)] {
            assert!(other.0 != drawn(1, 2, 0).0 && other.1 != drawn(1, 2, 0).1);
        }
        assert_ne!(
            drawn(1, 2, 0).0,
            drawn(1, 2, 1).0,
            "each view has its own noise"
        );
        let picked = |seed| {
            (0..64)
                .map(|index| corruption(0.5, 0.0, 0.0, seed).picture(index, 0).is_some())
                .collect::<Vec<_>>()
        };
        assert_ne!(picked(1), picked(2));
    }

    #[test]
    fn noise_is_uniform_over_the_range_of_pixels() {
        let mut pixels = vec![0.0; 30_000];
        corruption(1.0, 0.0, 0.0, 0)
            .picture(7, 0)
            .unwrap()
            .fill(&mut pixels);
        assert!(pixels.iter().all(|x| (-1.0..=1.0).contains(x)));
        for (low, high) in [(-1.0, -0.5), (-0.5, 0.0), (0.0, 0.5), (0.5, 1.0)] {
            let inside = pixels.iter().filter(|x| (low..high).contains(*x)).count();
            assert!(is_likely(inside, pixels.len(), 0.25), "{low} {inside}");
        }
    }

    #[test]
    fn random_texts_have_every_length_and_every_token_and_end_like_texts() {
        let bytes = tokenizer(6);
        let corruption = corruption(0.0, 1.0, 0.0, 5);
        let (mut lengths, mut seen) = ([0; 6], std::collections::BTreeSet::new());
        for index in 0..5_000 {
            let ids = corruption.tokens(index, &bytes).unwrap();
            assert_eq!((ids.len(), ids[5]), (6, bytes.end().unwrap()));
            let length = ids.iter().position(|id| *id == 1).unwrap();
            assert!(ids[length..].iter().all(|id| *id == 1));
            lengths[length] += 1;
            seen.extend(ids[..length].to_vec());
        }
        assert_eq!(lengths[0], 0, "no text is empty");
        assert!(
            lengths[1..].iter().all(|n| is_likely(*n, 5_000, 0.2)),
            "{lengths:?}"
        );
        assert!(seen.into_iter().eq(bytes.plain().iter().copied()));
    }

    #[test]
    fn a_share_of_the_batch_is_misaligned_among_itself() {
        for (share, batch, moved) in [(0.5, 64_u64, 32), (0.1, 64, 6), (1.0, 7, 7), (0.25, 8, 2)] {
            let alignment = corruption(0.0, 0.0, share, 1).alignment(9, batch).unwrap();
            let from: Vec<u64> = alignment.of(0..batch).collect();
            let mut sorted = from.clone();
            sorted.sort_unstable();
            assert!(
                sorted.into_iter().eq(0..batch),
                "each text stays in the batch"
            );
            let astray = (0..batch)
                .zip(&from)
                .filter(|(place, text)| place != *text)
                .count();
            assert_eq!(astray, moved, "{share} of {batch}");
            let slices: Vec<u64> = [0..3, 3..batch]
                .into_iter()
                .flat_map(|part| alignment.of(part))
                .collect();
            assert_eq!(slices, from, "ranks take their parts of it");
        }
        let none = |share, batch| corruption(0.0, 0.0, share, 1).alignment(1, batch).is_none();
        assert!(
            none(0.0, 1 << 20) && none(0.1, 12),
            "one alone has nobody to change with"
        );
        let of = |step, seed| {
            corruption(0.0, 0.0, 0.5, seed)
                .alignment(step, 64)
                .unwrap()
                .from
        };
        assert_eq!(of(1, 1), of(1, 1));
        assert!(
            of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2),
            "other steps and seeds, other places"
        );
    }

    #[test]
    fn a_share_is_between_0_and_1() {
        let key = |image, text, alignment| {
            let config = CorruptConfig {
                image,
                text,
                alignment,
            };
            config.validate().unwrap_err().key
        };
        assert_eq!(key(-0.1, 0.0, 0.0), "data.corrupt.image");
        assert_eq!(key(0.0, f64::NAN, 0.0), "data.corrupt.text");
        assert_eq!(key(0.0, 0.0, 1.1), "data.corrupt.alignment");
        CorruptConfig::default().validate().unwrap();
    }
}
