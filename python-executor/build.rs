//! Lets the program find the libpython that it was linked with, and remembers which version that was. Says also who makes
//! the children: zygotes on Linux, else each is a program started anew (as with the feature `worker`, for tests).

use std::env::var_os;

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
    let version = pyo3_build_config::get().version();
    println!(
        "cargo:rustc-env=CALLSPAN_PYTHON={}.{}",
        version.major, version.minor
    );
    println!("cargo:rustc-check-cfg=cfg(zygotes)");
    let linux = var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os == "linux");
    if linux && var_os("CARGO_FEATURE_WORKER").is_none() {
        println!("cargo:rustc-cfg=zygotes");
    }
}
