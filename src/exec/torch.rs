//! The programme with libtorch in it. `siglab` itself has none, so that it starts, and shows everything, where libtorch
//! cannot be found; `siglab-tch` stands beside it where it was built, and what computes on a device of libtorch's is
//! started as that.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::record::is_torch;
use crate::util::printable;

const NAME: &str = "siglab-tch";
/// Names the programme where it does not stand beside `siglab`.
pub const VARIABLE: &str = "SIGLAB_TCH";
/// The verb by which it tells what it has.
pub const VERB: &str = "torch";

/// What libtorch has on this machine, as [`VERB`] prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torch {
    /// The file that it was loaded from.
    pub library: Option<String>,
    /// Their names, as runs are placed on them.
    pub devices: Vec<String>,
    /// What each is: a processor, or a GPU with its memory.
    pub about: Vec<String>,
}

/// Why nothing can be computed by libtorch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    #[error(
        "libtorch's devices need {}, which is not there: build it with `LIBTORCH=DIR cargo build --release --features tch --bin {NAME}` (README, \"GPUs\"), or name it in {VARIABLE}", .program.display()
    )]
    Missing { program: PathBuf },
    #[error("{} does not start: {problem} (README, \"GPUs\")", .program.display())]
    Broken { program: PathBuf, problem: String },
}

/// The programme for runs on `devices`: `siglab` for those without libtorch.
pub fn program_for(siglab: &Path, devices: &[String]) -> PathBuf {
    match devices.iter().any(|name| is_torch(name)) {
        true => program(siglab),
        false => siglab.to_owned(),
    }
}

/// Where the programme with libtorch is to be, beside `siglab`.
pub fn program(siglab: &Path) -> PathBuf {
    match std::env::var_os(VARIABLE) {
        Some(program) => program.into(),
        None => siglab.with_file_name(NAME),
    }
}

/// What libtorch may take to say what it has: it is loaded for the answer, and where there are many GPUs their driver too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at whether it has answered.
const LOOK: Duration = Duration::from_millis(5);

/// What libtorch has here.
pub fn ask(siglab: &Path) -> Result<Torch, TorchError> {
    let program = program(siglab);
    let said = match answer(&program) {
        Ok(Some(said)) => said,
        Ok(None) => {
            let problem = format!("no answer within {} s", PATIENCE.as_secs());
            return Err(TorchError::Broken { program, problem });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(TorchError::Missing { program });
        }
        Err(e) => {
            let problem = e.to_string();
            return Err(TorchError::Broken { program, problem });
        }
    };
    serde_json::from_slice(&said.stdout).map_err(|e| {
        // The loader says in one line which library it lacks.
        let words = String::from_utf8_lossy(&said.stderr);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        let problem = match last.filter(|_| !said.status.success()) {
            Some(line) => printable(line),
            None => format!("{}, and says nothing that is known: {e}", said.status),
        };
        TorchError::Broken { program, problem }
    })
}

/// What it says, which fits into a pipe; none, and it is no more, if that took too long.
fn answer(program: &Path) -> io::Result<Option<Output>> {
    let mut command = Command::new(program);
    command.arg(VERB).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
    child.wait_with_output().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A `siglab` beside which `siglab-tch` is this script.
    fn beside(script: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let siglab = dir.path().join("siglab");
        let torch = program(&siglab);
        std::fs::write(&torch, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&torch, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, siglab)
    }

    #[test]
    fn what_it_has_is_what_it_says() {
        let (_dir, siglab) = beside(
            r#"[ "$1" = torch ] && echo '{"library":"/x/libtorch_cpu.so","devices":["tch:cpu"],"about":["a processor"]}'"#,
        );
        let torch = ask(&siglab).unwrap();
        assert_eq!(torch.devices, ["tch:cpu"]);
        let devices = ["cpu".to_owned(), "tch:cpu".to_owned()];
        assert_eq!(program_for(&siglab, &devices[..1]), siglab);
        assert_eq!(program_for(&siglab, &devices), program(&siglab));
    }

    #[test]
    fn what_is_wrong_with_it_is_one_sentence() {
        let error = ask(Path::new("/no/such/siglab")).unwrap_err().to_string();
        assert!(
            error.contains("/no/such/siglab-tch") && error.contains("--features tch"),
            "{error}"
        );
        let lacks = "error while loading shared libraries: libtorch_cpu.so: cannot open";
        for (script, said) in [
            (format!("echo '{lacks}' >&2; exit 127"), lacks),
            ("echo nonsense".into(), "exit status: 0"),
        ] {
            let (_dir, siglab) = beside(&script);
            let error = ask(&siglab).unwrap_err();
            assert!(matches!(error, TorchError::Broken { .. }), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
