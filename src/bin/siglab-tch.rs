//! siglab with libtorch in it, which `siglab` starts in its place where a device is libtorch's.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    siglab::cli::main()
}
