//! The programmes with a library for GPUs in them. `siglab` itself has none, so that it starts, and shows everything,
//! where such a library cannot be found; `siglab-tch` and `siglab-cuda` stand beside it where they were built, and what
//! computes on a device of theirs is started as one of them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::{Library, library};
use crate::util::{end_within, printable};

/// The verb by which a programme tells what a library has here.
pub const VERB: &str = "library";

impl Library {
    /// The programme that has it.
    pub fn program_name(self) -> &'static str {
        match self {
            Self::Torch => "siglab-tch",
            Self::Cuda => "siglab-cuda",
        }
    }

    /// Names the programme where it does not stand beside `siglab`.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Torch => "SIGLAB_TCH",
            Self::Cuda => "SIGLAB_CUDA",
        }
    }

    /// How the programme is built.
    fn recipe(self) -> &'static str {
        match self {
            Self::Torch => "LIBTORCH=DIR cargo build --release --features tch --bin siglab-tch",
            Self::Cuda => "cargo build --release --features cuda --bin siglab-cuda",
        }
    }

    /// Where the programme is to be, beside `siglab`.
    pub fn program(self, siglab: &Path) -> PathBuf {
        match std::env::var_os(self.variable()) {
            Some(program) => program.into(),
            None => siglab.with_file_name(self.program_name()),
        }
    }
}

/// What a library has on this machine, as [`VERB`] prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Has {
    /// The file that it was loaded from, if it is one.
    pub library: Option<String>,
    /// Their names, as runs are placed on them.
    pub devices: Vec<String>,
    /// What each is: a processor, or a GPU with its memory.
    pub about: Vec<String>,
}

/// Why nothing can be computed by a library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    #[error(
        "{}'s devices need {}, which is not there: build it with `{}` (README, \"GPUs\"), or name it in {}", .library.name(), .program.display(), .library.recipe(), .library.variable()
    )]
    Missing { library: Library, program: PathBuf },
    #[error("{} does not start: {problem} (README, \"GPUs\")", .program.display())]
    Broken { program: PathBuf, problem: String },
}

/// The programme for runs on `devices`: `siglab` for those without a library.
pub fn program_for(siglab: &Path, devices: &[String]) -> PathBuf {
    match devices.iter().find_map(|name| library(name)) {
        Some(library) => library.program(siglab),
        None => siglab.to_owned(),
    }
}

/// What a library may take to say what it has: it is loaded for the answer, and where there are many GPUs their driver too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at whether it has answered.
const LOOK: Duration = Duration::from_millis(5);

/// What `library` has here.
pub fn ask(library: Library, siglab: &Path) -> Result<Has, LibraryError> {
    let program = library.program(siglab);
    let said = match answer(library, &program) {
        Ok(Some(said)) => said,
        Ok(None) => {
            let problem = format!("no answer within {} s", PATIENCE.as_secs());
            return Err(LibraryError::Broken { program, problem });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(LibraryError::Missing { library, program });
        }
        Err(e) => {
            let problem = e.to_string();
            return Err(LibraryError::Broken { program, problem });
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
        LibraryError::Broken { program, problem }
    })
}

/// What it says, which fits into a pipe; none, and it is no more, if that took too long.
fn answer(library: Library, program: &Path) -> io::Result<Option<Output>> {
    let mut command = Command::new(program);
    command.args([VERB, library.name()]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if end_within(&mut child, PATIENCE, LOOK).is_none() {
        return Ok(None);
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
        let torch = Library::Torch.program(&siglab);
        std::fs::write(&torch, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&torch, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, siglab)
    }

    #[test]
    fn what_it_has_is_what_it_says() {
        let (_dir, siglab) = beside(
            r#"[ "$*" = "library libtorch" ] && echo '{"library":"/x/libtorch_cpu.so","devices":["tch:cpu"],"about":["a processor"]}'"#,
        );
        let torch = ask(Library::Torch, &siglab).unwrap();
        assert_eq!(torch.devices, ["tch:cpu"]);
        let devices = ["cpu".to_owned(), "tch:cpu".to_owned()];
        assert_eq!(program_for(&siglab, &devices[..1]), siglab);
        let gpu = ["cuda:0".to_owned()];
        assert_eq!(
            program_for(&siglab, &gpu),
            siglab.with_file_name("siglab-cuda")
        );
        assert_eq!(
            program_for(&siglab, &devices),
            Library::Torch.program(&siglab)
        );
    }

    #[test]
    fn what_is_wrong_with_it_is_one_sentence() {
        let error = ask(Library::Torch, Path::new("/no/such/siglab"))
            .unwrap_err()
            .to_string();
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
            let error = ask(Library::Torch, &siglab).unwrap_err();
            assert!(matches!(error, LibraryError::Broken { .. }), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
