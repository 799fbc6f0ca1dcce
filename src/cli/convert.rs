//! `siglab convert MODEL OUT_DIR`: a model in Hugging Face's layout, which transformers loads.

use std::path::PathBuf;

use anyhow::Context;

use super::DONE;
use crate::train::device;
use crate::train::model::{export, open};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run's directory, or a checkpoint of Hugging Face, open_clip or big_vision: a directory, or a .safetensors or .npz
    /// file.
    model: PathBuf,
    /// The folder to write config.json, model.safetensors, preprocessor_config.json and the tokenizer's files into; it must
    /// not hold a model yet.
    #[arg(value_name = "OUT_DIR")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let model = open::open(&args.model, &device::open("cpu")?)?;
    let family = export::hugging_face(&model, &args.out)
        .with_context(|| args.model.display().to_string())?;
    eprintln!(
        "{}: {} parameters; transformers.{}.from_pretrained loads it",
        args.out.display(),
        model.values.len(),
        family.name()
    );
    Ok(DONE)
}
