//! `siglab new [PRESET]`: begin an experiment with one of the paper's ablations. It never replaces a file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::{DONE, USAGE, print, tell};
use crate::export::align;
use crate::spec::preset;
use crate::util::printable;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The ablation; without a name they are listed.
    pub preset: Option<String>,
    /// Write it to this file, which must not exist yet [default: standard output].
    #[arg(short, long, value_name = "FILE", requires = "preset")]
    pub output: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let Some(name) = args.preset else {
        let row = |preset: &preset::Preset| vec![preset.name.to_owned(), preset.title.to_owned()];
        print(&align(&preset::ALL.iter().map(row).collect::<Vec<_>>()))?;
        return Ok(DONE);
    };
    let Some(preset) = preset::ALL.iter().find(|preset| preset.name == name) else {
        let known: Vec<&str> = preset::ALL.iter().map(|preset| preset.name).collect();
        tell(format_args!(
            "error: there is no preset `{}`; there are {}",
            printable(&name),
            known.join(", ")
        ));
        return Ok(USAGE);
    };
    match args.output {
        None => print(preset.text)?,
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut file| file.write_all(preset.text.as_bytes()))
                .with_context(|| format!("cannot make {}", path.display()))?;
            tell(format_args!(
                "wrote {0}; `siglab {0}` opens it",
                path.display()
            ));
        }
    }
    Ok(DONE)
}
