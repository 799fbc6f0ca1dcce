//! The parts of a rank's slice of a batch: which examples they have, and what the sides read of them. Memory is that of
//! one part, whatever the batch.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::train::config::TrainConfig;
use crate::train::data::{Alignment, DataError, Example, Source};
use crate::train::loss::LossConfig;
use crate::train::mesh::Mesh;
use crate::train::rollback::LeftOut;
use crate::train::side::{Reading, Side};

/// One part of one update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The update, counted from 1.
    pub step: u64,
    pub pass: Pass,
    /// The part of the slice, from 0.
    pub part: usize,
}

/// Why a part is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// For the loss.
    First,
    /// For the gradients of a batch that came in several parts, by the sides that learn.
    Again,
}

/// What the towers read of a part.
#[derive(Debug)]
pub struct Part {
    pub ask: Ask,
    /// Where it lies in the slice.
    pub range: Range<usize>,
    /// What each side reads, if it reads this part now.
    pub sides: [Option<Reading>; 2],
    /// Classes of the examples on each side, `[examples]`, if the loss asks for them.
    pub classes: Option<[Vec<i32>; 2]>,
}

/// How the batches of one rank fall into parts.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    config: &'a TrainConfig,
    source: &'a Source,
    sides: [Side; 2],
    /// Examples of a batch, over all ranks.
    batch: u64,
    /// Those of this rank, as places in the batch.
    slice: Range<u64>,
    /// Examples of a part, but for the last.
    most: u64,
    /// A supervised loss looks at one side.
    supervised: bool,
    classes: bool,
    /// Batches that no update takes.
    left_out: LeftOut,
    /// The texts of the batch under way, if corruption has moved them.
    alignment: Option<(u64, Alignment)>,
}

/// Examples that are looked for between two looks at whether to stop.
const BITE: u64 = 64;

impl<'a> Parts<'a> {
    /// Those of `mesh`'s rank in the run that `config` describes; `sides` with their caches.
    pub fn new(config: &'a TrainConfig, mesh: &Mesh, source: &'a Source, sides: [Side; 2]) -> Self {
        let batch = config.train.batch_size as u64;
        let share = batch / mesh.size() as u64;
        let start = share * mesh.rank() as u64;
        let most = match config.train.micro_batch as u64 {
            0 => share,
            most => most.min(share),
        };
        let supervised = matches!(config.loss, LossConfig::Classify(_));
        Self {
            config,
            source,
            sides,
            batch,
            slice: start..start + share,
            most,
            supervised,
            classes: supervised || config.loss.positives_by_class(),
            left_out: LeftOut::default(),
            alignment: None,
        }
    }

    /// The same for a run that leaves some batches out.
    pub fn without(mut self, left_out: LeftOut) -> Self {
        self.left_out = left_out;
        self
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.share().div_ceil(self.most as usize)
    }

    /// Examples of all of them.
    pub fn share(&self) -> usize {
        (self.slice.end - self.slice.start) as usize
    }

    /// What update `step` asks for, in its order.
    pub fn asks(&self, step: u64) -> impl Iterator<Item = Ask> + use<> {
        let seen = (step - 1) * self.batch;
        let locked = |side: &Side| side.is_locked_at(self.config, seen);
        let learns = !self.supervised && !self.sides.iter().all(locked);
        let passes = match self.count() > 1 && learns {
            true => &[Pass::First, Pass::Again][..],
            false => &[Pass::First],
        };
        let count = self.count();
        passes
            .iter()
            .flat_map(move |&pass| (0..count).map(move |part| Ask { step, pass, part }))
    }

    /// Draw the part that `ask` names; none when `stop` is set before it is done.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn draw(&mut self, ask: Ask, stop: &AtomicBool) -> Result<Option<Part>, DataError> {
        let start = self.slice.start + ask.part as u64 * self.most;
        let places = start..(start + self.most).min(self.slice.end);
        for side in &mut self.sides {
            side.unlock(self.config, (ask.step - 1) * self.batch);
        }
        let batch = self.left_out.batch(ask.step);
        let first = (batch - 1) * self.batch;
        let mut own = Vec::with_capacity((places.end - places.start) as usize);
        for at in places.clone().step_by(BITE as usize) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let end = (at + BITE).min(places.end);
            own.extend(self.source.train(first + at..first + end)?);
        }
        let partners = self.partners(batch, &places, &own)?;
        let examples = [&own, partners.as_ref().unwrap_or(&own)];

        let mut sides = [None, None];
        for ((side, examples), read) in self.sides.iter().zip(examples).zip(&mut sides) {
            let is_read = ask.pass == Pass::First || !side.locked;
            if is_read {
                let Some(reading) = side.read(self.source, examples, stop)? else {
                    return Ok(None);
                };
                *read = Some(reading);
            }
            if self.supervised {
                break;
            }
        }
        let classes = match self.classes && ask.pass == Pass::First {
            true => {
                let [own, partners] = examples.map(|examples| self.source.labels(examples));
                Some([own?, partners?])
            }
            false => None,
        };
        let of_slice = |place: u64| (place - self.slice.start) as usize;
        Ok(Some(Part {
            ask,
            range: of_slice(places.start)..of_slice(places.end),
            sides,
            classes,
        }))
    }

    /// The examples that the other side of each pair comes from, where that is not its own: `own` are those at `places` of
    /// the batch.
    fn partners(
        &mut self,
        batch: u64,
        places: &Range<u64>,
        own: &[Example],
    ) -> Result<Option<Vec<Example>>, DataError> {
        if self.alignment.as_ref().is_none_or(|(of, _)| *of != batch) {
            let alignment = self.source.corruption().alignment(batch, self.batch);
            self.alignment = alignment.map(|alignment| (batch, alignment));
        }
        let Some((_, alignment)) = &self.alignment else {
            return Ok(None);
        };
        let first = (batch - 1) * self.batch;
        let from: Vec<u64> = alignment.of(places.clone()).collect();
        let partner = |place: u64| match places.contains(&place) {
            true => Ok(own[(place - places.start) as usize].clone()),
            false => {
                let mut example = self.source.train(first + place..first + place + 1)?;
                Ok(example.remove(0))
            }
        };
        let partners: Result<Vec<Example>, DataError> = from.into_par_iter().map(partner).collect();
        partners.map(Some)
    }
}
