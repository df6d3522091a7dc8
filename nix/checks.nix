# `nix flake check`: the programs, their lints, and the tests that can run where there are neither namespaces nor a .venv.
# All tests of all languages are `make test`.
{
  pkgs,
  programs,
  images,
  buildInfo,
  craneLib,
}:
let
  inherit (pkgs) lib python3;
  sources = import ./sources.nix { inherit lib; };
  checked = {
    pname = "callspan";
    inherit (buildInfo) version;
    src = sources.rustChecked;
    strictDeps = true;
    cargoExtraArgs = "--locked --workspace";
    nativeBuildInputs = [ python3 ];
    buildInputs = [ python3 ];
    env = {
      PYO3_PYTHON = python3.interpreter;
      # As `make test`: a release would link a hundred programs with LTO, and leave out what only tests assert.
      CARGO_PROFILE = "dev";
    };
  };
  withDependencies = checked // {
    cargoArtifacts = craneLib.buildDepsOnly checked;
  };

  # A check that runs a command over files of the checkout.
  over =
    name: tools: fileset: command:
    pkgs.runCommand "check-${name}" { nativeBuildInputs = tools; } ''
      cd ${
        lib.fileset.toSource {
          root = ../.;
          inherit fileset;
        }
      }
      ${command}
      touch "$out"
    '';

  # What the image says of itself, from its archive, and what in its own layer is its user's.
  labels =
    name: image:
    pkgs.runCommand "check-labels-of-${name}"
      {
        nativeBuildInputs = [ pkgs.jq ];
        wanted = builtins.toJSON buildInfo.images.${name};
      }
      ''
        ${image} | tar -x
        configuration=$(jq -r '.[0].Config' manifest.json)
        jq --exit-status --argjson wanted "$wanted" \
          '.config.Labels == $wanted and .config.User == "10001:10001"' "$configuration"
        tar --list --verbose --numeric-owner --file="$(jq -r '.[0].Layers[-1]' manifest.json)" \
          | awk '$2 == "10001/10001" { print $6 }' | sort >owned
        diff owned - <<'OWNED'
        ./home/callspan/
        ./home/callspan/.cache/
        ./run/callspan/
        OWNED
        touch "$out"
      '';
in
{
  inherit (programs) callspan;
  rustfmt = craneLib.cargoFmt { inherit (checked) pname version src; };
  clippy = craneLib.cargoClippy (
    withDependencies // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
  );
  # Not python-executor's: they need namespaces of their own.
  rust-tests = craneLib.cargoNextest (
    withDependencies
    // {
      cargoExtraArgs = "--locked -p ipc -p rust-inference";
      # They talk over 127.0.0.1, which a sandbox on macOS else forbids.
      __darwinAllowLocalNetworking = true;
    }
  );
  nixfmt = over "nixfmt" [ pkgs.nixfmt ] (lib.fileset.unions [
    ../flake.nix
    ../nix
  ]) "find . -name '*.nix' -exec nixfmt --check {} +";
  deadnix = over "deadnix" [ pkgs.deadnix ] (lib.fileset.unions [
    ../flake.nix
    ../nix
  ]) "deadnix --fail .";
}
// lib.mapAttrs' (
  name: _: lib.nameValuePair "labels-${name}" (labels name images."image-${name}")
) (lib.optionalAttrs (images != { }) buildInfo.images)
