//! siglab with burn-cuda in it, which `siglab` starts in its place where a device is burn-cuda's.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    siglab::cli::main()
}
