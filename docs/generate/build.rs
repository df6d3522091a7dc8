//! Lets the program find the libpython that python-executor was linked with.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
