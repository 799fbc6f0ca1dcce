//! Runs the command line and prints an error once, as a chain of causes.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's `mi_option_purge_delay`, which its bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // A training step frees and takes the same large buffers again and again: giving them back to the system in
    // between costs much of the step in page faults.
    // SAFETY: sets an integer option of the allocator, which it reads whenever it frees pages.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    let cli = siglab::cli::Cli::parse();
    match siglab::cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(siglab::cli::exit_code(&error))
        }
    }
}
