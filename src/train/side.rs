//! The two sides of the pairs that a contrastive loss compares: what is read of an example on each, and whether the
//! tower that reads it learns. What the loss makes of the embeddings is not known here.

use burn::tensor::{Device, Tensor};

use super::config::TrainConfig;
use super::data::{Address, Source};
use super::inputs;
use super::model::Model;

/// What is read of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Image,
    Text,
}

/// One side of every pair.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    reads: Reads,
    /// The tower keeps its weights (LiT, arXiv 2111.07991): it needs no tape, and no second pass.
    pub locked: bool,
}

impl Side {
    /// The sides of a run, in the order in which the loss takes them.
    pub fn both(config: &TrainConfig) -> [Self; 2] {
        let (image, text) = (&config.optim.image, &config.optim.text);
        [(Reads::Image, image), (Reads::Text, text)].map(|(reads, group)| Self {
            reads,
            locked: group.is_locked(),
        })
    }

    /// Unit embeddings `[examples, embed_dim]`, on the tape when `model` and `device` are.
    pub fn embed(
        &self,
        model: &Model,
        source: &Source,
        examples: &[Address],
        device: &Device,
    ) -> Tensor<2> {
        match self.reads {
            Reads::Image => model.embed_images(inputs::images(source, examples, device)),
            Reads::Text => model.embed_texts(inputs::texts(source, examples, device)),
        }
    }
}
