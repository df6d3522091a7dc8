//! What is packed at a model's first start is kept on disk and used at the next, and is never trusted: whatever happened
//! to the file or to the model, answers are those of a model that was packed anew.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    fs::{self, File, FileTimes},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Server, chat, convert_units};
use rust_inference::{
    kernels::Weights,
    model::{KvCache, LoadOptions, Model, ModelFiles, PackedCache},
    tokenizer::Piece,
};
use serde_json::json;

/// The built-in model as a directory.
fn checkpoint() -> tempfile::TempDir {
    copy_of("../models/default")
}

fn copy_of(model: &str) -> tempfile::TempDir {
    let dir = common::room();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
    for entry in fs::read_dir(model).unwrap().flatten() {
        let name = entry.file_name();
        // Of somebody who has served that directory by hand.
        if !name.to_string_lossy().contains(".packed") {
            fs::copy(entry.path(), dir.path().join(name)).unwrap();
        }
    }
    dir
}

fn load(dir: &Path, packed_cache: bool) -> Model {
    let options = LoadOptions {
        threads: 2,
        packed_cache,
        ..LoadOptions::default()
    };
    Model::load(&ModelFiles::open(dir).unwrap(), &options).unwrap()
}

/// Logits behind a prompt, to the bit, with all that they depend on.
fn answer(model: &Model) -> Vec<u32> {
    let tokens = model
        .tokenizer
        .encode(&[Piece::Text("How many miles are 12 km? 🦀")])
        .unwrap();
    let hidden = model.forward(&tokens, &mut KvCache::new(model));
    let last = &hidden[hidden.len() - model.config.hidden_size..];
    let logits = model.logits(last);
    tokens
        .into_iter()
        .chain(logits.iter().map(|logit| logit.to_bits()))
        .collect()
}

/// The one packed file of a directory.
fn packed_file(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let mut packed: Vec<_> = entries
        .filter(|path| path.to_string_lossy().contains(".packed"))
        .collect();
    assert_eq!(packed.len(), 1, "{packed:?}");
    packed.remove(0)
}

#[test]
fn a_second_start_maps_what_the_first_one_packed_and_answers_the_same() {
    let dir = checkpoint();
    let plain = load(dir.path(), false);
    assert_eq!(plain.packed, PackedCache::Off);
    let first = load(dir.path(), true);
    let file = packed_file(dir.path());
    assert_eq!(first.packed, PackedCache::Written(file.clone()));
    let second = load(dir.path(), true);
    assert_eq!(second.packed, PackedCache::Used(file));
    for model in [&first, &second] {
        assert_eq!(answer(model), answer(&plain));
        assert_eq!(model.parameters(), plain.parameters());
        assert!(model.notes.is_empty(), "{:?}", model.notes);
    }
}

#[test]
fn a_damaged_file_is_never_used_and_made_again() {
    let dir = checkpoint();
    let expected = answer(&load(dir.path(), true));
    let file = packed_file(dir.path());
    let whole = fs::read(&file).unwrap();
    let cases = (0..40)
        .map(|i| i * (whole.len() - 1) / 39)
        .chain([0, 8, 16, 24, 31, 32, 4095, 4096])
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            (format!("byte {at}"), bytes)
        })
        .chain(
            [0, 1, 31, 32, 4096, whole.len() / 2, whole.len() - 1]
                .map(|len| (format!("cut to {len}"), whole[..len].to_vec())),
        )
        .chain([
            ("longer".to_owned(), [&whole[..], b"x"].concat()),
            ("zeros".to_owned(), vec![0; whole.len()]),
            (
                "text".to_owned(),
                b"CALLSPN1 is what it says, and then anything".to_vec(),
            ),
        ]);
    for (damage, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        let model = load(dir.path(), true);
        assert_eq!(model.packed, PackedCache::Written(file.clone()), "{damage}");
        assert_eq!(model.notes.len(), 1, "{damage}: {:?}", model.notes);
        assert!(answer(&model) == expected, "{damage}");
        assert!(fs::read(&file).unwrap() == whole, "{damage}");
    }
}

/// Whatever their dates say.
#[test]
fn weights_with_a_merged_adapter_neither_use_the_packed_file_nor_spoil_it() {
    let dir = copy_of("testdata/several-kv-heads");
    // Its tokenizer knows no words.
    let answer =
        |model: &Model| model.logits(&model.forward(&[3, 7, 70, 11], &mut KvCache::new(model)));
    let plain = load(dir.path(), true);
    let file = packed_file(dir.path());
    let before = fs::read(&file).unwrap();
    let mut files = ModelFiles::open(dir.path()).unwrap();
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/adapters/plain");
    files.lora = Some(adapter);
    let options = LoadOptions {
        threads: 2,
        packed_cache: true,
        ..LoadOptions::default()
    };
    let merged = Model::load(&files, &options).unwrap();
    assert_eq!(merged.packed, PackedCache::Off);
    assert_ne!(answer(&merged), answer(&plain));
    assert_eq!(packed_file(dir.path()), file);
    assert_eq!(fs::read(&file).unwrap(), before);
    let again = load(dir.path(), true);
    assert_eq!(again.packed, PackedCache::Used(file));
    assert_eq!(answer(&again), answer(&plain));
}

#[test]
fn changed_weights_are_packed_again() {
    let dir = checkpoint();
    let before = answer(&load(dir.path(), true));
    let weights = dir.path().join("model.safetensors");
    let modified = fs::metadata(&weights).unwrap().modified().unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    let len = bytes.len();
    for byte in bytes[len / 2..].iter_mut().step_by(2000) {
        *byte ^= 1;
    }
    fs::write(&weights, bytes).unwrap();
    let file = File::options().write(true).open(&weights).unwrap();
    file.set_times(FileTimes::new().set_modified(modified))
        .unwrap();
    let model = load(dir.path(), true);
    assert!(
        matches!(model.packed, PackedCache::Written(_)),
        "{:?}",
        model.packed
    );
    assert!(model.notes[0].contains("have changed"), "{:?}", model.notes);
    assert_eq!(answer(&model), answer(&load(dir.path(), false)));
    assert_ne!(answer(&model), before);
    assert!(matches!(
        load(dir.path(), true).packed,
        PackedCache::Used(_)
    ));
}

#[test]
fn a_copy_of_a_model_uses_the_copy_of_its_packed_file_and_knows_it_next_time() {
    let dir = checkpoint();
    let expected = answer(&load(dir.path(), true));
    let copy = common::room();
    for entry in fs::read_dir(dir.path()).unwrap().flatten() {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let file = packed_file(copy.path());
    let brought = fs::read(&file).unwrap();
    let model = load(copy.path(), true);
    assert_eq!(model.packed, PackedCache::Used(file.clone()));
    assert_eq!(answer(&model), expected);
    let known = fs::read(&file).unwrap();
    assert!(known != brought);
    assert!(matches!(
        load(copy.path(), true).packed,
        PackedCache::Used(_)
    ));
    assert!(fs::read(&file).unwrap() == known);
}

#[test]
fn a_file_that_was_packed_for_other_weights_is_not_used() {
    let dir = checkpoint();
    let options = |weights| LoadOptions {
        weights,
        threads: 2,
        packed_cache: true,
    };
    let files = ModelFiles::open(dir.path()).unwrap();
    Model::load(&files, &options(Weights::F32)).unwrap();
    let of_f32 = packed_file(dir.path());
    let expected = answer(&load(dir.path(), false));
    let model = load(dir.path(), true);
    let PackedCache::Written(file) = &model.packed else {
        panic!("{:?}", model.packed);
    };
    fs::copy(of_f32, file).unwrap();
    let model = load(dir.path(), true);
    assert_eq!(model.packed, PackedCache::Written(file.clone()));
    assert!(
        model.notes[0].contains("packed in another way"),
        "{:?}",
        model.notes
    );
    assert_eq!(answer(&model), expected);
}

/// A server of a directory, whose user's caches are in another; what it says is kept.
fn serve(command: &mut Command, dir: &Path, caches: &Path) -> Server {
    let room = common::room();
    let socket = room.path().join("s");
    let log = File::create(room.path().join("log")).unwrap();
    let process = command
        .args(["--threads", "2", "--model"])
        .arg(dir)
        .arg("--socket")
        .arg(&socket)
        .env("XDG_CACHE_HOME", caches)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server {
        process,
        socket,
        room,
    };
    server.connect();
    server
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rust-inference"))
}

fn said(server: &Server) -> String {
    fs::read_to_string(server.room.path().join("log")).unwrap()
}

fn call(server: &Server) -> String {
    let question = json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units()]});
    let answer = server.generate(&question);
    assert!(answer["done"]["tool_calls"][0].is_object(), "{answer}");
    answer["done"]["tool_calls"].to_string()
}

#[test]
fn where_the_model_cannot_be_written_to_the_users_caches_are() {
    let (dir, caches) = (checkpoint(), common::room());
    load(dir.path(), true);
    // Under this name it would be written.
    let file = packed_file(dir.path());
    fs::remove_file(&file).unwrap();
    let mut fresh = file.into_os_string();
    fresh.push(".new");
    fs::create_dir(fresh).unwrap();
    let first = serve(&mut program(), dir.path(), caches.path());
    assert_eq!(first.detail("packed_cache"), "written");
    let expected = call(&first);
    let kept = packed_file(&caches.path().join("callspan"));
    assert!(
        said(&first).contains(&*kept.to_string_lossy()),
        "{}",
        said(&first)
    );
    let second = serve(&mut program(), dir.path(), caches.path());
    assert_eq!(second.detail("packed_cache"), "used");
    assert_eq!(call(&second), expected);
}

#[test]
fn a_full_disk_costs_a_warning() {
    let (dir, caches) = (checkpoint(), common::room());
    // No file may have more than 100 KiB: writing fails as it does where there is no room.
    let mut limited = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    limited.args(["-c", script, "sh", env!("CARGO_BIN_EXE_rust-inference")]);
    let server = serve(&mut limited, dir.path(), caches.path());
    assert_eq!(server.detail("packed_cache"), "failed");
    call(&server);
    assert!(
        said(&server).contains("cannot keep what was packed"),
        "{}",
        said(&server)
    );
    let left = fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|e| e.file_name().to_string_lossy().contains("packed"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn servers_that_start_at_once_do_not_spoil_the_file_for_each_other() {
    let (dir, caches) = (checkpoint(), common::room());
    for _ in 0..3 {
        let servers: Vec<_> = std::thread::scope(|scope| {
            let start = || serve(&mut program(), dir.path(), caches.path());
            let started: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            started
                .into_iter()
                .map(|server| server.join().unwrap())
                .collect()
        });
        let calls: Vec<_> = servers.iter().map(call).collect();
        assert!(calls.iter().all(|call| *call == calls[0]), "{calls:?}");
        let after = serve(&mut program(), dir.path(), caches.path());
        assert_eq!(after.detail("packed_cache"), "used");
        assert_eq!(call(&after), calls[0]);
        fs::remove_file(packed_file(dir.path())).unwrap();
    }
}

#[test]
fn without_a_packed_cache_nothing_is_written() {
    let (dir, caches) = (checkpoint(), common::room());
    let before = fs::read_dir(dir.path()).unwrap().count();
    let server = serve(
        program().arg("--no-packed-cache"),
        dir.path(),
        caches.path(),
    );
    assert_eq!(server.detail("packed_cache"), "off");
    call(&server);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
    assert_eq!(fs::read_dir(caches.path()).unwrap().count(), 0);
}
