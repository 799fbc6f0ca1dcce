//! Training and evaluation over files: which sample stands where, which caption and which part of a picture it shows this
//! time, and what takes the place of samples whose images turn out not to be images. Whether one can be read is found by
//! reading it, once, and follows from the files alone, so that ranks and resumed runs find the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use etcetera::BaseStrategy;
use rayon::prelude::*;

use super::chance::Chance;
use super::epochs::{Epochs, Plan};
use super::error::DataError;
use super::fault::Fault;
use super::files::{Caption, Files, FilesConfig, Format};
use super::picture::{Preparation, decode};
use super::skips::Skips;
use super::source::{Example, Split};

#[derive(Clone, Debug)]
pub struct Samples {
    files: Files,
    epochs: Epochs,
    preparation: Preparation,
    seeds: [u64; 2],
    max_broken: f64,
    known: Arc<Known>,
}

/// What reading found so far; all ranks of a process share it.
#[derive(Debug)]
struct Known {
    /// Two bits a sample: it was read, it could be read.
    states: Vec<AtomicU64>,
    looked_at: AtomicU64,
    /// Those that could not be read.
    broken: Mutex<BTreeMap<u64, Fault>>,
}

/// Samples a word of [`Known::states`] has.
const A_WORD: u64 = 32;
/// Broken samples from which on their share is one to go by.
const MANY: u64 = 32;
/// Samples that are tried in the place of one.
const TRIES: usize = 1_000;

impl Known {
    fn new(samples: u64) -> Self {
        let words = 0..samples.div_ceil(A_WORD);
        Self {
            states: words.map(|_| AtomicU64::new(0)).collect(),
            looked_at: AtomicU64::new(0),
            broken: Mutex::default(),
        }
    }

    /// Whether a sample can be read, if that is known.
    fn get(&self, sample: u64) -> Option<bool> {
        let state = self.states[(sample / A_WORD) as usize].load(Ordering::Relaxed)
            >> (2 * (sample % A_WORD));
        (state & 1 == 1).then_some(state & 2 == 2)
    }

    fn set(&self, sample: u64, found: Result<(), Fault>) {
        let bits = if found.is_ok() { 3 } else { 1 } << (2 * (sample % A_WORD));
        let before = self.states[(sample / A_WORD) as usize].fetch_or(bits, Ordering::Relaxed);
        if before & bits == 0 {
            self.looked_at.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(fault) = found {
            self.broken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(sample, fault);
        }
    }
}

impl Samples {
    /// # Errors
    /// Files that are not there or not what they should be, too many samples without use, or too few to train on.
    pub fn open(format: Format, config: &FilesConfig, run_seed: u64) -> Result<Self, DataError> {
        let files = Files::open(format, config, index_folder().as_deref())?;
        let seeds = [config.seed, run_seed];
        let plan = Plan {
            sources: files.sources().collect(),
            starts: files.starts().to_vec(),
            held_out: config.held_out,
            pairs: config.pairs,
            window: config.shuffle,
            seeds,
        };
        let epochs = Epochs::new(plan).ok_or_else(|| {
            let problem = format!(
                "{} of {} samples held out leave none",
                config.held_out,
                files.len()
            );
            DataError::setting("data.held_out", problem)
        })?;
        Ok(Self {
            known: Arc::new(Known::new(files.len())),
            preparation: config.preparation(),
            max_broken: config.max_broken,
            files,
            epochs,
            seeds,
        })
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Places of an epoch.
    pub fn places(&self) -> u64 {
        self.epochs.len()
    }

    /// The examples at places `range` of the run, one epoch after another, each of which can be read.
    ///
    /// # Errors
    /// More samples without use than are allowed.
    pub fn train(&self, range: Range<u64>) -> Result<Vec<Example>, DataError> {
        let length = self.epochs.len();
        let examples: Result<Vec<Example>, DataError> = range
            .into_par_iter()
            .map(|place| {
                let epoch = place / length;
                self.readable(self.epochs.at(epoch, place % length), epoch)
            })
            .collect();
        let examples = examples?;
        self.check()?;
        Ok(examples)
    }

    /// Those of the samples held out at places `range` that can be read.
    ///
    /// # Errors
    /// More samples without use than are allowed.
    pub fn eval(&self, range: Range<u64>) -> Result<Vec<Example>, DataError> {
        let held = self.epochs.held_out();
        let clipped = |place: u64| (place as usize).min(held.len());
        let asked = &held[clipped(range.start)..clipped(range.end)];
        let read = asked.par_iter().filter_map(|&sample| {
            let picture = self.read(sample, Split::Eval, 0).ok()?;
            Some(Example::new(Split::Eval, sample, 0, picture))
        });
        let examples = read.collect();
        self.check()?;
        Ok(examples)
    }

    /// The sample at its place, or the one that is there in its place.
    fn readable(&self, sample: u64, epoch: u64) -> Result<Example, DataError> {
        let mut chance = Chance::new(&[SUBSTITUTE, self.seeds[0], sample]);
        let mut tried = sample;
        for _ in 0..TRIES {
            if let Ok(picture) = self.read(tried, Split::Train, epoch) {
                return Ok(Example::new(Split::Train, tried, epoch, picture));
            }
            self.check()?;
            tried = self.epochs.sample(chance.below(self.epochs.samples()));
        }
        Err(DataError::TooManyBroken(format!(
            "{}; no other could be found in their place",
            self.skips()
        )))
    }

    /// See that a sample can be read; what that decoded comes with it.
    fn read(&self, sample: u64, split: Split, epoch: u64) -> Result<Option<Arc<[u8]>>, Fault> {
        match self.known.get(sample) {
            Some(true) => return Ok(None),
            Some(false) => return Err(Fault::Unreadable),
            None => {}
        }
        let read = self.decode(sample, split, epoch);
        self.known
            .set(sample, read.as_ref().map(drop).map_err(|fault| *fault));
        read
    }

    fn decode(&self, sample: u64, split: Split, epoch: u64) -> Result<Option<Arc<[u8]>>, Fault> {
        let [image, text] = self.files.widths();
        if text.is_some() {
            self.files.vector(sample, false)?;
        } else if image.is_some() {
            // What stands in two files is not looked through when they are opened.
            self.files.captions(sample)?;
        }
        if image.is_some() {
            self.files.vector(sample, true)?;
            return Ok(None);
        }
        self.draw(sample, split, epoch)
            .map(|square| Some(square.into()))
    }

    fn draw(&self, sample: u64, split: Split, epoch: u64) -> Result<Vec<u8>, Fault> {
        let picture = decode(&self.files.image(sample)?)?;
        match split {
            Split::Eval => self.preparation.square(&picture),
            Split::Train => {
                let mut chance = self.chance(PICTURE, sample, epoch);
                self.preparation.training_square(&picture, &mut chance)
            }
        }
    }

    fn chance(&self, what: u64, sample: u64, epoch: u64) -> Chance {
        Chance::new(&[what, self.seeds[0], self.seeds[1], sample, epoch])
    }

    /// Put the normalised pixels of an example in `pixels`, size x size x 3.
    ///
    /// # Errors
    /// A file that could be read before and cannot be now.
    pub fn pixels(&self, example: &Example, pixels: &mut [f32]) -> Result<(), DataError> {
        let (split, sample, epoch) = (example.split(), example.index(), example.epoch());
        let drawn;
        let square: &[u8] = match example.picture() {
            Some(picture) => picture,
            None => {
                drawn = self
                    .draw(sample, split, epoch)
                    .map_err(|fault| self.gone(sample, fault))?;
                &drawn
            }
        };
        for (pixel, value) in pixels.iter_mut().zip(self.preparation.normalise(square)) {
            *pixel = value;
        }
        Ok(())
    }

    /// What is said of an example; of several captions another each epoch.
    ///
    /// # Errors
    /// As [`pixels`](Self::pixels).
    pub fn caption(&self, example: &Example) -> Result<Caption, DataError> {
        let (sample, epoch) = (example.index(), example.epoch());
        let mut captions = self.captions(example)?;
        let chosen = match example.split() {
            Split::Train => self
                .chance(CAPTION, sample, epoch)
                .below(captions.len() as u64),
            Split::Eval => 0,
        };
        Ok(captions.swap_remove(chosen as usize))
    }

    /// All that is said of it.
    ///
    /// # Errors
    /// As [`pixels`](Self::pixels).
    pub fn captions(&self, example: &Example) -> Result<Vec<Caption>, DataError> {
        let captions = self.files.captions(example.index());
        captions.map_err(|fault| self.gone(example.index(), fault))
    }

    /// The vector of the image side, or of the other.
    ///
    /// # Errors
    /// As [`pixels`](Self::pixels).
    pub fn vector(&self, example: &Example, of_image: bool) -> Result<Vec<f32>, DataError> {
        let vector = self.files.vector(example.index(), of_image);
        vector.map_err(|fault| self.gone(example.index(), fault))
    }

    fn gone(&self, sample: u64, fault: Fault) -> DataError {
        let name = crate::util::printable(&self.files.name(sample));
        DataError::content(
            &PathBuf::from(name),
            format!("{fault}; it could be read before"),
        )
    }

    /// All that was skipped so far, when the set was opened and since.
    pub fn skips(&self) -> Skips {
        let mut skips = self.files.skips().clone();
        for (sample, fault) in &*self
            .known
            .broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            skips.add(*fault, || self.files.name(*sample));
        }
        skips
    }

    /// # Errors
    /// When too many of all samples, or of those that were read so far, are broken.
    fn check(&self) -> Result<(), DataError> {
        let broken = self
            .known
            .broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u64;
        if broken == 0 {
            return Ok(());
        }
        let looked_at = self.known.looked_at.load(Ordering::Relaxed);
        if broken >= MANY && broken as f64 > self.max_broken * looked_at as f64 {
            return Err(DataError::TooManyBroken(format!(
                "{}; that is more than {} % of the {looked_at} images that were read",
                self.skips(),
                self.max_broken * 100.0
            )));
        }
        let skipped = self.files.skips().count() + broken;
        match skipped as f64 > self.max_broken * self.files.skips().total as f64 {
            true => self.skips().check(self.max_broken),
            false => Ok(()),
        }
    }
}

/// What draws are for.
const SUBSTITUTE: u64 = 1;
const PICTURE: u64 = 2;
const CAPTION: u64 = 3;

/// Where indexes are kept from one run to the next.
fn index_folder() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.cache_dir().join("siglab").join("shards"))
}
