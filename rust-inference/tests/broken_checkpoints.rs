//! Checkpoints with something wrong: the error names the file or tensor and what was expected.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{fs, path::Path};

use rust_inference::model::{LoadOptions, Model, ModelFiles};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

/// One tensor: name, shape, f32 values.
type Tensor = (String, Vec<usize>, Vec<u8>);

/// A copy of a good checkpoint whose tensors were changed, and the error that loading it gives.
fn error_after(change: impl FnOnce(&mut Vec<Tensor>)) -> String {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/several-kv-heads");
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(good.join(name), dir.path().join(name)).unwrap();
    }
    let bytes = fs::read(good.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<Tensor> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), data).unwrap(),
        )
    });
    fs::write(
        dir.path().join("model.safetensors"),
        serialize(views, None).unwrap(),
    )
    .unwrap();
    load(dir.path()).unwrap_err()
}

fn load(dir: &Path) -> Result<Model, String> {
    ModelFiles::open(dir)
        .and_then(|files| Model::load(&files, &LoadOptions::default()))
        .map_err(|error| error.to_string())
}

const NAME: &str = "model.layers.1.self_attn.q_norm.weight";

fn find(tensors: &mut [Tensor]) -> &mut Tensor {
    tensors.iter_mut().find(|tensor| tensor.0 == NAME).unwrap()
}

#[test]
fn a_missing_tensor_is_named() {
    let error = error_after(|tensors| tensors.retain(|tensor| tensor.0 != NAME));
    assert_eq!(
        error,
        format!("tensor {NAME} is missing; expected shape [8]")
    );
}

#[test]
fn a_wrong_shape_is_named_with_what_was_expected() {
    let error = error_after(|tensors| find(tensors).1 = vec![2, 4]);
    assert_eq!(
        error,
        format!("tensor {NAME} has shape [2, 4]; expected [8]")
    );
}

#[test]
fn a_nan_is_named_with_its_place() {
    let error =
        error_after(|tensors| find(tensors).2[12..16].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_eq!(
        error,
        format!("tensor {NAME} holds a NaN at index 3; expected finite numbers")
    );
}

#[test]
fn a_missing_or_cut_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(load(dir.path()).unwrap_err().contains("config.json"));
    assert!(
        load(&dir.path().join("nothing"))
            .unwrap_err()
            .contains("nothing")
    );
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/several-kv-heads");
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(good.join(name), dir.path().join(name)).unwrap();
    }
    assert!(load(dir.path()).unwrap_err().contains("model.safetensors"));
    let bytes = fs::read(good.join("model.safetensors")).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(dir.path().join("model.safetensors"), &bytes[..length]).unwrap();
        assert!(
            load(dir.path()).unwrap_err().contains("safetensors"),
            "cut at {length}"
        );
    }
}

/// A good checkpoint in two shards.
fn sharded() -> tempfile::TempDir {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/several-kv-heads");
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(good.join(name), dir.path().join(name)).unwrap();
    }
    let bytes = fs::read(good.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (first, second): (Vec<_>, Vec<_>) = file
        .tensors()
        .into_iter()
        .partition(|(name, _)| name.contains("mlp"));
    for (name, part) in [(SHARDS[0], first), (SHARDS[1], second)] {
        fs::write(dir.path().join(name), serialize(part, None).unwrap()).unwrap();
    }
    dir
}

const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];

/// What lists two shards of one tensor each.
fn index(shards: [&str; 2]) -> String {
    format!(
        r#"{{"metadata":{{}},"weight_map":{{"a":"{}","b":"{}"}}}}"#,
        shards[0], shards[1]
    )
}

#[test]
fn a_sharded_checkpoint_is_read_whole_whatever_lies_beside_it() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/several-kv-heads");
    let parameters = load(&good).unwrap().parameters();
    let dir = sharded();
    assert_eq!(load(dir.path()).unwrap().parameters(), parameters);
    for other in ["adapter_model.safetensors", "consolidated.safetensors"] {
        fs::write(dir.path().join(other), "not weights").unwrap();
    }
    assert_eq!(load(dir.path()).unwrap().parameters(), parameters);
    fs::write(
        dir.path().join("model.safetensors.index.json"),
        index(SHARDS),
    )
    .unwrap();
    assert_eq!(load(dir.path()).unwrap().parameters(), parameters);
}

#[test]
fn a_shard_that_is_missing_is_named_with_an_index_and_without() {
    for with_index in [true, false] {
        let dir = sharded();
        if with_index {
            fs::write(
                dir.path().join("model.safetensors.index.json"),
                index(SHARDS),
            )
            .unwrap();
        }
        fs::remove_file(dir.path().join(SHARDS[1])).unwrap();
        let error = load(dir.path()).unwrap_err();
        assert!(
            error.contains("model-00002-of-00002.safetensors is missing"),
            "{error}"
        );
    }
}

#[test]
fn an_index_that_leads_elsewhere_and_an_adapter_alone_are_refused() {
    let dir = sharded();
    let elsewhere = index(["../model.safetensors", SHARDS[1]]);
    fs::write(dir.path().join("model.safetensors.index.json"), elsewhere).unwrap();
    assert!(
        load(dir.path())
            .unwrap_err()
            .contains("../model.safetensors")
    );
    let dir = tempfile::tempdir().unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::write(dir.path().join(name), "{}").unwrap();
    }
    assert!(load(dir.path()).unwrap_err().contains("--lora"));
}
