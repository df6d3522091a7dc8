# What each derivation sees of the checkout: a change of anything else builds nothing anew, and what is not in Git
# (target, .venv, weights) never gets into the store.
{ lib }:
let
  inherit (lib.fileset)
    difference
    fileFilter
    toSource
    unions
    ;
  root = ../.;

  # Cargo wants the files of all targets that a manifest names, tests and benches included, whichever it builds.
  crates = unions [
    ../.cargo/config.toml
    ../Cargo.lock
    ../Cargo.toml
    ../bench/sandbox_client.rs
    ../ipc/Cargo.toml
    ../ipc/build.rs
    ../ipc/proto
    ../ipc/src
    ../ipc/testdata
    ../ipc/tests
    ../python-executor/Cargo.toml
    ../python-executor/build.rs
    ../python-executor/policy
    ../python-executor/src
    (difference ../python-executor/tests (unions [
      ../python-executor/tests/finetune
      ../python-executor/tests/py
    ]))
    # A crate of the workspace that nothing here is made with.
    ../docs/generate
    ../rust-inference/Cargo.toml
    ../rust-inference/benches
    ../rust-inference/src
    ../rust-inference/testdata
    ../rust-inference/tests
    # Both are built into rust-inference.
    ../bench/tools/levers.json
    (fileFilter (file: file.hasExt "json" || file.hasExt "safetensors") ../models/default)
  ];
in
{
  rust = toSource {
    inherit root;
    fileset = crates;
  };

  # With what lints and tests read besides.
  rustChecked = toSource {
    inherit root;
    fileset = unions [
      crates
      ../.config/nextest.toml
      ../ARCHITECTURE.md
      ../README.md
      ../bench/make_random_model.py
      ../bench/random_gguf.py
      ../bench/random_pieces.txt
      ../bench/random_vocabulary.py
      ../clippy.toml
      ../models/default/README.md
    ];
  };

  # Its tests read the vectors that it shares with ipc, from beside it.
  haskell = toSource {
    inherit root;
    fileset = unions [
      ../haskell-orchestrator/app
      ../haskell-orchestrator/callspan.cabal
      ../haskell-orchestrator/README.md
      ../haskell-orchestrator/src
      ../haskell-orchestrator/test
      ../ipc/testdata
    ];
  };

  # Not fine-tuning: it needs packages that are not here.
  python = toSource {
    root = ../python-executor/python;
    fileset = difference (fileFilter (
      file: file.hasExt "py" || file.name == "py.typed"
    ) ../python-executor/python) ../python-executor/python/callspan/finetune;
  };

  tools = toSource {
    root = ../python-executor/tools;
    fileset = fileFilter (file: file.hasExt "py") ../python-executor/tools;
  };

  documents = toSource {
    root = ../docs;
    fileset = unions [
      ../docs/completions
      ../docs/man
    ];
  };

  templates = toSource {
    root = ../templates;
    fileset = ../templates;
  };
}
