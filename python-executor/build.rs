//! Lets the program find the libpython that it was linked with, and remembers which version that was.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
    let version = pyo3_build_config::get().version();
    println!(
        "cargo:rustc-env=CALLSPAN_PYTHON={}.{}",
        version.major, version.minor
    );
}
