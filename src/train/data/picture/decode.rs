//! Image files to RGB of 8 bits a channel, as PIL's `convert("RGB")` gives it: alpha is dropped and not blended, 16 bits
//! lose the lower 8, an animation is its first frame. The size is read, and refused, before anything is decoded.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::{ImageError, ImageResult};
use image::{ColorType, ImageDecoder, ImageFormat, Limits};

use super::{Fault, Picture, jpeg};

/// Pixels of an image, at most.
pub const MOST_PIXELS: u64 = 64_000_000;
/// Memory that decoding one image may take.
pub const MOST_BYTES: u64 = 256 << 20;

/// The picture in the bytes of a jpeg, png or webp file.
///
/// # Errors
/// What is wrong with the file, or that it is larger than `MOST_PIXELS` or `MOST_BYTES` allow.
pub fn decode(bytes: &[u8]) -> Result<Picture, Fault> {
    // A decoder that trips over a file in a way that nobody foresaw costs that file and not the run.
    catch_unwind(|| decode_as_guessed(bytes)).unwrap_or(Err(Fault::BrokenImage))
}

fn decode_as_guessed(bytes: &[u8]) -> Result<Picture, Fault> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            let frame = jpeg::inspect(bytes)?;
            let coefficients = match frame.progressive {
                true => 2 * u64::from(frame.components),
                false => 0,
            };
            read(JpegDecoder::new(Cursor::new(bytes)), coefficients)
        }
        Ok(ImageFormat::Png) => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MOST_BYTES);
            read(PngDecoder::with_limits(Cursor::new(bytes), limits), 0)
        }
        // Its planes of luma and chroma, and a canvas if it is an animation.
        Ok(ImageFormat::WebP) => read(WebPDecoder::new(Cursor::new(bytes)), 4),
        _ => Err(Fault::NoImageFormat),
    }
}

/// `more` is what the decoder needs for each pixel besides the pixel.
fn read<D: ImageDecoder>(decoder: ImageResult<D>, more: u64) -> Result<Picture, Fault> {
    let mut decoder = decoder.map_err(fault)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let memory = decoder
        .total_bytes()
        .saturating_add(pixels.saturating_mul(more));
    if pixels == 0 {
        return Err(Fault::BrokenImage);
    }
    if pixels > MOST_PIXELS || memory > MOST_BYTES {
        return Err(Fault::LargeImage);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    decoder.set_limits(limits).map_err(fault)?;
    let colour = decoder.color_type();
    let mut values = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut values).map_err(fault)?;
    let rgb = to_rgb(colour, values)?;
    Ok(Picture { width, height, rgb })
}

/// In place where the pixels shrink.
fn to_rgb(colour: ColorType, mut values: Vec<u8>) -> Result<Vec<u8>, Fault> {
    // The higher byte of each value, which the decoder gives in the order of the machine.
    if colour.bytes_per_pixel() / colour.channel_count() == 2 {
        let high = if cfg!(target_endian = "little") { 1 } else { 0 };
        for i in 0..values.len() / 2 {
            values[i] = values[2 * i + high];
        }
        values.truncate(values.len() / 2);
    }
    let channels = usize::from(colour.channel_count());
    match colour {
        ColorType::Rgb8 | ColorType::Rgb16 => Ok(values),
        ColorType::Rgba8 | ColorType::Rgba16 => {
            for i in 0..values.len() / channels {
                values.copy_within(i * channels..i * channels + 3, 3 * i);
            }
            values.truncate(values.len() / channels * 3);
            Ok(values)
        }
        ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16 => {
            let grey = values.iter().step_by(channels);
            Ok(grey.flat_map(|&value| [value; 3]).collect())
        }
        _ => Err(Fault::BrokenImage),
    }
}

fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::Limits(_) => Fault::LargeImage,
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Fault::CutImage
        }
        _ => Fault::BrokenImage,
    }
}
