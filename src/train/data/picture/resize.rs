//! Pictures of another size. The convolution sees every source pixel that a pixel covers, and works on bytes in two passes,
//! across and then down: PIL's `resize` does the same, with the same cubic.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::decode::MOST_PIXELS;
use super::{Fault, Filter, Picture};
use crate::train::data::chance::Chance;

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

impl Region {
    pub fn whole(picture: &Picture) -> Self {
        Self {
            left: 0,
            top: 0,
            width: picture.width,
            height: picture.height,
        }
    }

    /// A rectangle of `least` to all of the area and of a ratio between 3:4 and 4:3, as torchvision's `RandomResizedCrop`
    /// draws it: the first of ten that lies inside, else the middle with the nearest ratio that there can be.
    pub fn random(picture: &Picture, least: f64, chance: &mut Chance) -> Self {
        let (width, height) = (f64::from(picture.width), f64::from(picture.height));
        let (narrow, wide) = (3.0_f64 / 4.0, 4.0_f64 / 3.0);
        for _ in 0..10 {
            let area = width * height * (least + (1.0 - least) * chance.share());
            let ratio = (narrow.ln() + (wide.ln() - narrow.ln()) * chance.share()).exp();
            let w = (area * ratio).sqrt().round();
            let h = (area / ratio).sqrt().round();
            if (1.0..=width).contains(&w) && (1.0..=height).contains(&h) {
                let (w, h) = (w as u32, h as u32);
                let mut from = |room: u32| chance.below(u64::from(room) + 1) as u32;
                return Self {
                    top: from(picture.height - h),
                    left: from(picture.width - w),
                    width: w,
                    height: h,
                };
            }
        }
        let ratio = (width / height).clamp(narrow, wide);
        let w = width.min((height * ratio).round()).max(1.0) as u32;
        let h = height.min((width / ratio).round()).max(1.0) as u32;
        Self {
            left: (picture.width - w) / 2,
            top: (picture.height - h) / 2,
            width: w,
            height: h,
        }
    }
}

/// `region` of the picture at `width` x `height`, RGB.
pub fn resize(
    picture: &Picture,
    region: Region,
    (width, height): (u32, u32),
    filter: Filter,
) -> Vec<u8> {
    let whole = region == Region::whole(picture);
    if whole && (picture.width, picture.height) == (width, height) {
        return picture.rgb.clone();
    }
    let source = ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3)
        .expect("a picture holds all its pixels");
    let filter = match filter {
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Bilinear => FilterType::Bilinear,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let part = options.crop(
        region.left.into(),
        region.top.into(),
        region.width.into(),
        region.height.into(),
    );
    // One pass at a time: left to itself the library goes down first, and what a cubic overshoots by is cut off between
    // the passes, so that the order shows.
    let mut across = Image::new(width, region.height, PixelType::U8x3);
    let mut down = Image::new(width, height, PixelType::U8x3);
    let mut resizer = Resizer::new();
    let first = resizer.resize(&source, &mut across, &part);
    first.expect("the region lies inside and both are RGB");
    let second = resizer.resize(&across, &mut down, &options);
    second.expect("both are RGB");
    down.into_vec()
}

/// The shorter side to `size`, then `size` of the middle of the longer one, RGB; rounding as torchvision's `Resize` and
/// `CenterCrop`.
///
/// # Errors
/// [`Fault::LargeImage`] when what lies between would be larger than an image may be.
pub fn crop(picture: &Picture, size: u32, filter: Filter) -> Result<Vec<u8>, Fault> {
    let (short, long) = (
        picture.width.min(picture.height),
        picture.width.max(picture.height),
    );
    let longer = u64::from(size) * u64::from(long) / u64::from(short);
    if longer * u64::from(size) > MOST_PIXELS {
        return Err(Fault::LargeImage);
    }
    let longer = longer as u32;
    let (width, height) = match picture.width <= picture.height {
        true => (size, longer),
        false => (longer, size),
    };
    let resized = resize(picture, Region::whole(picture), (width, height), filter);
    let first =
        |longer: u32| ((f64::from(longer) - f64::from(size)) / 2.0).round_ties_even() as usize;
    let (left, top) = (first(width), first(height));
    let (side, row) = (size as usize * 3, width as usize * 3);
    let rows = resized.chunks_exact(row).skip(top).take(size as usize);
    Ok(rows
        .flat_map(|row| &row[left * 3..left * 3 + side])
        .copied()
        .collect())
}
