//! `siglab bench data`: how fast examples come from files, by what feeds a run: found, read, decoded, made square and
//! normalised. The same from PIL and torchvision is timed by benches/data_beside_torch.py.

use std::time::Instant;

use anyhow::{bail, ensure};
use serde_json::json;

use super::{DONE, print, use_threads};
use crate::train::data::{DataConfig, FilesConfig, Resize, Source};

/// Time how fast images come from files.
///
/// The set is indexed, which reads headers and captions; then the first images of an epoch are read, decoded, made
/// square and normalised, a batch at a time.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Shards (`x-{000..012}.tar`), a .csv, .tsv or .parquet table, or a folder with a folder for each class.
    path: String,
    /// Images that are read; all if there are fewer.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Images of a batch.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Side of the squares in pixels.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u16).range(8..=1024))]
    size: u16,
    /// Cut out the middle instead of squashing.
    #[arg(long)]
    crop: bool,
    /// Mix within windows of so many, so that files are read in long runs; 0 mixes all.
    #[arg(long, default_value_t = 0)]
    shuffle: u64,
    /// Threads of the whole process [default: as many as cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    use_threads(args.threads, 1)?;
    let start = Instant::now();
    let source = Source::open(&config(&args)?, 64, 0)?;
    let indexing = start.elapsed().as_secs_f64();
    let most = source.pairs().min(args.images.into());
    ensure!(most > 0, "{} has no samples", args.path);

    let (mut seconds, mut sum) = (0.0, 0.0);
    for first in (0..most).step_by(args.batch as usize) {
        let start = Instant::now();
        let examples = source.train(first..most.min(first + u64::from(args.batch)))?;
        let pixels = source.pixels(&examples)?;
        seconds += start.elapsed().as_secs_f64();
        sum += pixels.iter().map(|x| f64::from(*x)).sum::<f64>() / pixels.len() as f64;
    }
    let rate = most as f64 / seconds;
    let mean = sum / most.div_ceil(args.batch.into()) as f64;
    let skips = source.skips().unwrap_or_default();
    let text = if args.json {
        let object = json!({
            "samples": source.pairs(),
            "index_s": indexing,
            "images": most,
            "images_per_s": rate,
            "mean": mean,
            "skipped": skips.count(),
            "threads": rayon::current_num_threads(),
        });
        format!("{object}\n")
    } else {
        format!(
            "{} samples indexed in {indexing:.3} s; {skips}\n{most} images of {} pixels in {seconds:.2} s: {rate:.0} images/s on {} threads\n",
            source.pairs(),
            args.size,
            rayon::current_num_threads(),
        )
    };
    print(&text)?;
    Ok(DONE)
}

fn config(args: &Args) -> anyhow::Result<DataConfig> {
    let files = FilesConfig {
        path: args.path.clone(),
        image_size: args.size.into(),
        resize: if args.crop {
            Resize::Crop
        } else {
            Resize::Squash
        },
        shuffle: args.shuffle,
        max_broken: 1.0,
        ..FilesConfig::default()
    };
    let suffix = args.path.rsplit_once('.').map(|(_, suffix)| suffix);
    Ok(match suffix {
        _ if std::path::Path::new(&args.path).is_dir() => DataConfig::Folder(files),
        Some("tar") => DataConfig::Webdataset(files),
        Some("csv" | "tsv") => DataConfig::Csv(files),
        Some("parquet") => DataConfig::Parquet(files),
        _ => bail!(
            "{} is no folder and names no .tar, .csv, .tsv or .parquet",
            args.path
        ),
    })
}
