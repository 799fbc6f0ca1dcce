//! One rank's slice of a batch: places in the training stream, taken in parts. Nothing of it is drawn here, and what the
//! towers read of a part is drawn when it is the part's turn, so that memory is that of a part whatever the batch.

use std::ops::Range;

use crate::train::data::{DataError, Example, Source};

pub struct Slice<'a> {
    pub source: &'a Source,
    range: Range<u64>,
    /// Examples of a part, but for the last.
    most: u64,
}

impl<'a> Slice<'a> {
    /// In parts of `most` examples; 0 is all at once.
    pub fn new(source: &'a Source, range: Range<u64>, most: usize) -> Self {
        let all = range.end - range.start;
        let most = match most as u64 {
            0 => all,
            most => most.min(all),
        };
        Self {
            source,
            range,
            most,
        }
    }

    /// Examples of the slice.
    pub fn len(&self) -> usize {
        (self.range.end - self.range.start) as usize
    }

    /// Whether it is one part.
    pub fn is_whole(&self) -> bool {
        self.most as usize == self.len()
    }

    /// The examples of all parts.
    pub fn all(&self) -> Result<Vec<Example>, DataError> {
        self.source.train(self.range.clone())
    }

    /// The examples of one part after another.
    pub fn parts(&self) -> impl Iterator<Item = Result<Vec<Example>, DataError>> {
        let Range { start, end } = self.range;
        let starts = (start..end).step_by(self.most as usize);
        starts.map(move |start| self.source.train(start..(start + self.most).min(end)))
    }

    /// Classes of all examples, `[examples]`.
    pub fn classes(&self) -> Result<Vec<u32>, DataError> {
        let mut classes = Vec::with_capacity(self.len());
        for part in self.parts() {
            let labels = self.source.labels(&part?)?;
            classes.extend(labels.into_iter().map(i32::cast_unsigned));
        }
        Ok(classes)
    }
}
