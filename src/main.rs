//! Runs the command line and prints an error once, as a chain of causes.

use std::process::ExitCode;

use clap::Parser;
use siglab::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's `mi_option_purge_delay`, which its bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    let code = match cli::Cli::try_parse() {
        Err(error) => cli::usage(&error),
        Ok(cli) => {
            hold_memory(cli.computes());
            cli::run(cli).unwrap_or_else(|error| {
                cli::tell(format_args!("error: {error:#}"));
                cli::exit_code(&error)
            })
        }
    };
    ExitCode::from(code)
}

/// A training step frees and takes the same large buffers again and again: giving them back to the system in between
/// costs much of the step in page faults, and large pages save some. Whoever does not train gives back at once what it
/// has no use for, and takes small pages, for of a large one nothing returns until all of it is free.
fn hold_memory(computes: bool) {
    let milliseconds = if computes { -1 } else { 0 };
    // SAFETY: sets an integer option of the allocator, which it reads whenever it frees pages.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
    // Inherited by workers, which take it back. A kernel without large pages has nothing to switch off.
    let _ = rustix::thread::disable_transparent_huge_pages(!computes);
}
