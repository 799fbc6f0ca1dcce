//! With the feature `tch`, programs and tests look for libtorch where it was found when they were built, and what
//! torch-sys leaves out of it is compiled.

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    #[cfg(feature = "tch")]
    libtorch();
}

#[cfg(feature = "tch")]
fn libtorch() {
    use std::path::{Path, PathBuf};

    const NATIVE: &str = "src/train/torch/native.cpp";
    println!("cargo:rerun-if-changed={NATIVE}");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let folder =
        std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where it found libtorch");
    // As torch-sys looks for them.
    let headers = match std::env::var_os("LIBTORCH_INCLUDE") {
        Some(folder) => PathBuf::from(folder).join("include"),
        None => Path::new(&folder).with_file_name("include"),
    };
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .include(&headers)
        .include(headers.join("torch/csrc/api/include"))
        // They are not ours to warn of.
        .flag_if_supported("-Wno-unused-parameter")
        .file(NATIVE)
        .compile("siglab_native");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    // What is for GPUs in it is asked for by name alone, and would be left out as needed by nothing.
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
}
