//! With the feature `tch`, programs and tests look for libtorch where it was found when they were built.

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    if std::env::var_os("CARGO_FEATURE_TCH").is_some()
        && let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB")
    {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        // What is for GPUs in it is asked for by name alone, and would be left out as needed by nothing.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg=-ltorch");
    }
}
