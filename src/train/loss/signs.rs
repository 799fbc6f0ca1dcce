//! What each pair is to the sigmoid loss: a positive (1), a negative (-1), or one that does not count (0). Told line by
//! line where the pairs meet, so that the matrix of labels exists no more than that of logits.

use super::LossError;
use super::negatives::Selection;
use super::places::Place;
use super::tile::Real;
use crate::train::mesh::{Mesh, RankLost};

/// Which pairs are positives.
#[derive(Clone, Copy, Debug, Default)]
pub enum Labels<'a> {
    /// Image i with text i alone.
    #[default]
    Partners,
    /// Every image with every text of its class; those of this rank's slice, `[n]`.
    Classes { image: &'a [u32], text: &'a [u32] },
    /// What the data says of each pair.
    Listed(Listed<'a>),
}

/// Labels of pairs, as data have them of which not all pairs were measured.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// For each image of this rank's slice the texts of the batch with a label, ascending; true is a positive.
    pub labels: &'a [Vec<(u32, bool)>],
    /// Whether a pair without a label is a negative; else it does not count.
    pub others_are_negatives: bool,
}

/// The rule of a step, when it is not that every pair but the partners is a negative.
pub enum Signs<'a> {
    Selected(Selection),
    Classes {
        /// Of this rank.
        image: &'a [u32],
        /// Of the batch.
        text: Vec<u32>,
    },
    Listed(Listed<'a>),
}

impl<'a> Signs<'a> {
    /// Every rank learns the class of every text: four bytes a pair.
    pub fn classes(mesh: &Mesh, image: &'a [u32], text: &[u32]) -> Result<Self, RankLost> {
        let text = std::sync::Arc::new(text.to_vec());
        let bytes = size_of_val(&text[..]);
        let all = mesh.gather_sized(text, bytes)?;
        Ok(Self::Classes {
            image,
            text: all.iter().flat_map(|part| part.iter().copied()).collect(),
        })
    }

    /// Whether a sign follows from the pair's similarity too.
    pub fn depends_on_similarities(&self) -> bool {
        matches!(self, Self::Selected(selection) if selection.is_ranked())
    }

    /// Write the signs of the pairs of one line, whose similarities are `s`. `image` is the line's row in this rank's
    /// slice, `partner` the column of its partner.
    #[inline(always)]
    pub fn fill<T: Real>(
        &self,
        place: Place,
        image: usize,
        partner: Option<usize>,
        s: &[T],
        signs: &mut [T],
    ) {
        let (positive, negative) = (T::one(), -T::one());
        match self {
            Self::Selected(selection) => {
                for (column, (sign, s)) in signs.iter_mut().zip(s).enumerate() {
                    let kept = selection.keeps(place, column, s.wide());
                    *sign = if kept { negative } else { T::zero() };
                }
                partner.into_iter().for_each(|p| signs[p] = positive);
            }
            Self::Classes {
                image: classes,
                text,
            } => {
                let texts = &text[place.text..][..signs.len()];
                for (sign, text) in signs.iter_mut().zip(texts) {
                    *sign = if *text == classes[image] {
                        positive
                    } else {
                        negative
                    };
                }
            }
            Self::Listed(listed) => {
                signs.fill(if listed.others_are_negatives {
                    negative
                } else {
                    T::zero()
                });
                let labels = &listed.labels[image];
                let first = labels.partition_point(|(text, _)| (*text as usize) < place.text);
                for (text, is_positive) in &labels[first..] {
                    let Some(sign) = signs.get_mut(*text as usize - place.text) else {
                        break;
                    };
                    *sign = if *is_positive { positive } else { negative };
                }
            }
        }
    }
}

impl Labels<'_> {
    /// Whether they describe `count` images and texts of this rank in a batch of `batch` pairs.
    pub fn check(&self, count: usize, batch: usize) -> Result<(), LossError> {
        let fits = |what: &str, found: usize| {
            (found == count)
                .then_some(())
                .ok_or_else(|| LossError::Label(format!("{found} {what} have a label, of {count}")))
        };
        match self {
            Self::Partners => Ok(()),
            Self::Classes { image, text } => {
                fits("images", image.len())?;
                fits("texts", text.len())
            }
            Self::Listed(Listed { labels, .. }) => {
                fits("images", labels.len())?;
                for (row, labels) in labels.iter().enumerate() {
                    if let Some((text, _)) = labels.iter().find(|(text, _)| *text as usize >= batch)
                    {
                        return Err(LossError::Label(format!(
                            "image {row} has a label for text {text} of a batch of {batch}"
                        )));
                    }
                    if !labels.is_sorted_by(|a, b| a.0 < b.0) {
                        return Err(LossError::Label(format!(
                            "the labels of image {row} are not in ascending order of texts, each once"
                        )));
                    }
                }
                Ok(())
            }
        }
    }
}
