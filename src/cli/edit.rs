//! `siglab edit FILE OP…`: one change of an experiment file, from the command line. A change that would leave a file
//! that is no experiment is not written, unless the file was none before.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::{DONE, print, tell};
use crate::spec::edit::apply;
use crate::spec::{Edit, Experiment, read_text};
use crate::util::write_atomic;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Changes:
  axis add KEY VALUES         base set KEY=VALUE
  axis set KEY VALUES         base unset KEY
  axis rename KEY KEY         exclude add KEY=VALUE..
  axis up KEY                 exclude remove KEY=VALUE..
  axis down KEY               seeds COUNT
  axis remove KEY             seeds [SEED, SEED..]
  zip KEY KEY..               question TEXT
  zip set KEY VALUES; KEY VALUES..
  unzip KEY                   report add METRIC [rows=KEY] [columns=KEY] [title=TEXT]
  design full                 report remove NUMBER
  design one-factor [KEY=VALUE..]
  design fractional fraction=NUMBER [generators=[\"d = a b c\", ..]]
  design random count=NUMBER [seed=NUMBER]
  design latin-hypercube count=NUMBER [seed=NUMBER]

Values: sigmoid, softmax | 16..256 x2 | 0..1 5 | 0..10 step 2 | 1e-4..1e-2 log 5
Keys:   siglab keys

Example: siglab edit grid.toml axis add optim.lr 1e-4..1e-2 log 3")]
pub struct Args {
    /// Show the changed file on standard output and write nothing; it may also stand right behind FILE or at the end.
    #[arg(long)]
    pub dry_run: bool,
    /// The experiment file.
    pub file: PathBuf,
    /// The change.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OP"
    )]
    pub change: Vec<String>,
}

/// What a change cannot begin or end with.
const DRY_RUN: &str = "--dry-run";

/// The words of a change and whether it is to be shown only: the change takes all that follows FILE, flags too.
fn without_flag(mut change: Vec<String>) -> (Vec<String>, bool) {
    let before = change.len();
    if change.first().is_some_and(|word| word == DRY_RUN) {
        change.remove(0);
    } else if change.last().is_some_and(|word| word == DRY_RUN) {
        change.pop();
    }
    let found = change.len() < before;
    (change, found)
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let (change, behind) = without_flag(args.change);
    let edit: Edit = change.join(" ").parse()?;
    let before = read_text(&args.file)?;
    let after = apply(&before, &edit)?;
    if let Err(error) = Experiment::parse(&args.file, &after, &[])
        && Experiment::parse(&args.file, &before, &[]).is_ok()
    {
        return Err(anyhow::Error::from(error).context("the change is not written"));
    }
    if args.dry_run || behind {
        print(&after)?;
        return Ok(DONE);
    }
    // A link stays one: what it points to is replaced.
    let file = fs::canonicalize(&args.file)
        .with_context(|| format!("cannot find {}", args.file.display()))?;
    if after != before {
        let permissions = fs::metadata(&file).map(|metadata| metadata.permissions());
        write_atomic(&file, after.as_bytes())
            .and_then(|()| fs::set_permissions(&file, permissions?))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let unchanged = if after == before { " (as it was)" } else { "" };
    tell(format_args!("{}: {edit}{unchanged}", args.file.display()));
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_asked_for_before_or_behind_the_change() {
        let split = |words: &str| {
            let words = words.split(' ').map(str::to_owned).collect();
            let (change, dry_run) = without_flag(words);
            (change.join(" "), dry_run)
        };
        let change = "axis add optim.lr -1..1 3";
        assert_eq!(split(change), (change.into(), false));
        assert_eq!(split(&format!("--dry-run {change}")), (change.into(), true));
        assert_eq!(split(&format!("{change} --dry-run")), (change.into(), true));
    }
}
