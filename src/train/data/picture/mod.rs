//! From the bytes of an image file to the pixels that a tower looks at: decoding within limits, then squashing or cropping
//! to a square as the field does it, with the numbers of PIL. Rotation that EXIF asks for is not applied: PIL's `open`
//! does not either, nor do the loaders that are built on it.

mod decode;
mod jpeg;
mod resize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::fault::Fault;
pub use decode::decode;
use resize::{Region, resize};

/// 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// RGB, height x width x 3, row-major.
    pub rgb: Vec<u8>,
}

/// How a picture becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Both sides to the size asked for, whatever the ratio: SigLIP's way.
    #[default]
    Squash,
    /// The shorter side to the size asked for, then the middle of the longer one: CLIP's way.
    Crop,
}

/// What a pixel is made of when a picture is made smaller or larger. Both see all pixels that it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Cubic, a = -1/2.
    #[default]
    Bicubic,
    /// A triangle.
    Bilinear,
}

/// What is drawn anew each time that training looks at a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Augment {
    /// Nothing: every epoch shows the same pixels.
    #[default]
    None,
    /// A part of the picture of at least this share of its area, its ratio between 3:4 and 4:3, squashed to the square.
    RandomCrop(f64),
}

/// All that the pixels of a picture follow from.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// Side of the square.
    pub size: usize,
    pub resize: Resize,
    pub filter: Filter,
    pub augment: Augment,
    /// Of values in [0, 1], by channel.
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

impl Preparation {
    /// The square that evaluation looks at, RGB, size x size x 3.
    ///
    /// # Errors
    /// `Fault::LargeImage` where a picture is so long and thin that its middle cannot be cut out within limits.
    pub fn square(&self, picture: &Picture) -> Result<Vec<u8>, Fault> {
        let size = self.size as u32;
        match self.resize {
            Resize::Squash => Ok(resize(
                picture,
                Region::whole(picture),
                (size, size),
                self.filter,
            )),
            Resize::Crop => resize::crop(picture, size, self.filter),
        }
    }

    /// The square that training looks at, which may follow from `chance`.
    ///
    /// # Errors
    /// As [`square`](Self::square).
    pub fn training_square(
        &self,
        picture: &Picture,
        chance: &mut Chance,
    ) -> Result<Vec<u8>, Fault> {
        match self.augment {
            Augment::None => self.square(picture),
            Augment::RandomCrop(least) => {
                let size = self.size as u32;
                let region = Region::random(picture, least, chance);
                Ok(resize(picture, region, (size, size), self.filter))
            }
        }
    }

    /// (value / 255 - mean) / std of each value of a square.
    pub fn normalise<'a>(&self, square: &'a [u8]) -> impl Iterator<Item = f32> + 'a {
        let table: [[f32; 256]; 3] = [0, 1, 2].map(|channel| {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            std::array::from_fn(|value| ((value as f64 / 255.0 - mean) / std) as f32)
        });
        let values = square.as_chunks::<3>().0.iter();
        values.flat_map(move |rgb| [0, 1, 2].map(|channel| table[channel][rgb[channel] as usize]))
    }
}

#[cfg(test)]
mod tests;
