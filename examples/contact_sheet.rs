//! Writes what training sees of the built-in data set, so that a person can look at it:
//! `cargo run --release --example contact_sheet -- sheet.ppm` draws every class once, twelve to a row and four times
//! enlarged, and prints the captions in the same order.

use std::path::PathBuf;

use anyhow::{Context, Result};
use siglab::train::data::shapes::{Shapes, ShapesConfig};

const COLUMNS: usize = 12;
const ZOOM: usize = 4;

fn main() -> Result<()> {
    let path: PathBuf = std::env::args_os()
        .nth(1)
        .context("give the file to write, as in `sheet.ppm`")?
        .into();
    let config = ShapesConfig::default();
    let set = Shapes::new(&config);
    let count = set.classes().len();
    let cell = config.image_size * ZOOM + 2;
    let (width, height) = (COLUMNS * cell, count.div_ceil(COLUMNS) * cell);
    let mut image = format!("P6 {width} {height} 255\n").into_bytes();
    let header = image.len();
    image.resize(header + width * height * 3, 255);
    for index in 0..count {
        let example = set.eval_example(index as u64);
        println!("{index:4}  {}", example.caption);
        let (left, top) = (index % COLUMNS * cell, index / COLUMNS * cell);
        for y in 0..config.image_size * ZOOM {
            for x in 0..config.image_size * ZOOM {
                let from = (y / ZOOM * config.image_size + x / ZOOM) * 3;
                let to = header + ((top + y) * width + left + x) * 3;
                for channel in 0..3 {
                    image[to + channel] =
                        ((example.pixels[from + channel] + 1.0) * 127.5).round() as u8;
                }
            }
        }
    }
    std::fs::write(&path, image).with_context(|| format!("cannot write {}", path.display()))
}
