//! `siglab convert MODEL OUT_DIR`: a model in Hugging Face's layout, which transformers loads.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{DONE, tell};
use crate::train::data::text::Canonical;
use crate::train::device;
use crate::train::model::{export, open};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run, by its id or the beginning of it or its directory; or a checkpoint of Hugging Face, open_clip or big_vision: a
    /// directory, or a .safetensors or .npz file.
    model: String,
    /// The folder to write config.json, model.safetensors, preprocessor_config.json and the tokenizer's files into; it must
    /// not hold a model yet.
    #[arg(value_name = "OUT_DIR")]
    out: PathBuf,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let path = super::model_path(workspace, &args.model)?;
    let model = open::open(&path, &device::open("cpu")?)?;
    let family =
        export::hugging_face(&model, &args.out).with_context(|| path.display().to_string())?;
    tell(format_args!(
        "{}: {} parameters; transformers.{}.from_pretrained loads it",
        args.out.display(),
        model.values.len(),
        family.name()
    ));
    if model.canonicalise() != Canonical::None {
        tell(format_args!(
            "note: texts were made {:?} before the tokenizer saw them (data.text.canonicalise), which no file here says: do the \
             same before transformers' tokenizer",
            model.canonicalise()
        ));
    }
    Ok(DONE)
}
