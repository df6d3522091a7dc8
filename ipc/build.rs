//! Generates the protocol's types from the .proto, in pure Rust: no protoc.
use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "proto/callspan/v1/callspan.proto";
    println!("cargo:rerun-if-changed={proto}");
    let set = protox::compile([proto], ["proto"])?;
    let bytes = set.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor_set.bin"), &bytes)?;
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(set)?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .preserve_proto_field_names()
        .ignore_unknown_fields()
        .btree_map(["."])
        .build(&[".callspan.v1"])?;
    Ok(())
}
