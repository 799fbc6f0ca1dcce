//! Runs the command line and prints an error once, as a chain of causes.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = siglab::cli::Cli::parse();
    match siglab::cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(siglab::cli::exit_code(&error))
        }
    }
}
