# The programs, each by itself, and `callspan`: all of them together.
{
  pkgs,
  craneLib,
  version,
}:
let
  inherit (pkgs) lib python3;
  inherit (pkgs.stdenv.hostPlatform) isDarwin isLinux isx86_64;
  sources = import ./sources.nix { inherit lib; };
  license = [
    lib.licenses.asl20
    lib.licenses.mit
  ];

  # For all that cargo builds.
  common = {
    pname = "callspan";
    inherit version;
    src = sources.rust;
    strictDeps = true;
    # The tests are a check of their own.
    doCheck = false;
    cargoExtraArgs = "--locked --workspace";
    nativeBuildInputs = [ python3 ];
    buildInputs = [ python3 ];
    # It comes before what .cargo/config.toml says, which is a checkout's .venv. The same everywhere, or pyo3 is built anew.
    env.PYO3_PYTHON = python3.interpreter;
  };

  program =
    name: description: args:
    craneLib.buildPackage (
      common
      // {
        pname = name;
        cargoExtraArgs = "--locked -p ${name}";
        doInstallCheck = true;
        nativeInstallCheckInputs = [ pkgs.versionCheckHook ];
        meta = {
          inherit description license;
          mainProgram = name;
          platforms = lib.platforms.unix;
        };
      }
      // args
    );
  inference = program "rust-inference" "Serves a small function-calling model over a Unix socket";

  # The programs, compiled in one way.
  suite =
    args:
    let
      cargo = args // {
        cargoArtifacts = craneLib.buildDepsOnly (common // args);
      };
      programs = {
        inherit orchestrator;
        ipc = program "ipc" "Speaks and watches the protocol of Callspan" cargo;
        rust-inference = inference cargo;
        python-executor = program "python-executor" "Runs Python tools in sandboxed single-use children" (
          cargo // { inherit postInstall; }
        );
        callspan = together programs;
      };
    in
    programs;

  # Where python-executor looks for them: beside itself. A venv, because that names the version that it is for. Compiled,
  # as no start may write there; and not by times, of which the store keeps none.
  postInstall = ''
    mkdir -p "$out"/lib/callspan "$out"/share/callspan
    cp -r --no-preserve=mode ${sources.python} "$out"/lib/callspan/python
    ${python3.interpreter} -m compileall -q --invalidation-mode unchecked-hash "$out"/lib/callspan/python
    cp -r --no-preserve=mode ${sources.tools} "$out"/share/callspan/tools
    ${python3.interpreter} -m venv --without-pip "$out"/lib/callspan/venv
    cp -r ${pythonWithPackages}/${python3.sitePackages}/. "$out"/lib/callspan/venv/${python3.sitePackages}/
  '';
  pythonWithPackages = python3.withPackages (python: [
    python.pydantic
    python.tzdata
  ]);

  orchestrator =
    let
      built = pkgs.haskellPackages.callPackage ./orchestrator.nix {
        inherit license version;
        src = sources.haskell;
      };
    in
    # On Apple's processors GHC leaves references to itself, which justStaticExecutables refuses (nixpkgs issue 318013).
    if isDarwin then built else pkgs.haskell.lib.compose.justStaticExecutables built;

  together =
    programs:
    pkgs.symlinkJoin {
      name = "callspan-${version}";
      paths = [
        programs.ipc
        programs.rust-inference
        programs.python-executor
        programs.orchestrator
      ];
      nativeBuildInputs = [ pkgs.makeBinaryWrapper ];
      # A program knows its own place by its real path, which is not where the others are.
      postBuild = ''
        rm "$out"/bin/callspan
        makeWrapper ${programs.orchestrator}/bin/callspan "$out"/bin/callspan \
          --set-default CALLSPAN_BIN_DIR "$out"/bin \
          --set-default CALLSPAN_TEMPLATES ${sources.templates}
        cd "$out"/share
        mkdir -p man/man1 bash-completion/completions fish/vendor_completions.d zsh/site-functions
        ln -s ${sources.documents}/man/*.1 man/man1
        ln -s ${sources.documents}/completions/*.fish fish/vendor_completions.d
        ln -s ${sources.documents}/completions/_* zsh/site-functions
        for program in callspan ipc python-executor rust-inference; do
          ln -s ${sources.documents}/completions/$program.bash bash-completion/completions/$program
        done
      '';
      passthru = { inherit programs; };
      meta = {
        description = "Turns a sentence into tool calls and runs them in a sandbox";
        inherit license;
        mainProgram = "callspan";
        platforms = lib.platforms.unix;
      };
    };

  # With mistral.rs as well. What that brings needs a C compiler, cmake (aws-lc) and oniguruma.
  mistralrs =
    feature: args:
    let
      cargo = args // {
        cargoExtraArgs = "--locked -p rust-inference --no-default-features --features ${feature}";
        nativeBuildInputs =
          common.nativeBuildInputs
          ++ [
            pkgs.cmake
            pkgs.pkg-config
          ]
          ++ args.nativeBuildInputs or [ ];
        buildInputs = common.buildInputs ++ [ pkgs.oniguruma ] ++ args.buildInputs or [ ];
        dontUseCmakeConfigure = true;
        env = common.env // { RUSTONIG_SYSTEM_LIBONIG = "1"; } // args.env;
      };
    in
    inference (cargo // { cargoArtifacts = craneLib.buildDepsOnly (common // cargo); });

  # The newest CUDA that both mistralrs 0.8 and nixpkgs know. It does not start where there is no driver.
  cuda = pkgs.cudaPackages_12_9;
  withCuda = mistralrs "mistralrs-cuda" {
    nativeBuildInputs = [
      cuda.cuda_nvcc
      pkgs.autoAddDriverRunpath
    ];
    buildInputs = [
      cuda.cccl
      cuda.cuda_cudart
      cuda.cuda_nvrtc
      cuda.libcublas
      cuda.libcurand
    ];
    env = {
      # What it runs on cannot be asked while it is built: Ampere and newer.
      CUDA_COMPUTE_CAP = "80";
      CUDARC_CUDA_VERSION = "12090";
      CUDA_TOOLKIT_ROOT_DIR = lib.getDev cuda.cuda_cudart;
    };
    doInstallCheck = false;
  };

  # Apple's compiler for kernels is not to be had in a build: they are compiled at the start.
  withMetal = mistralrs "mistralrs-metal" { env.MISTRALRS_METAL_PRECOMPILE = "0"; };

  # For processors with AVX-512. The engine finds out by itself what a processor has: this is for all other code. The builder
  # need not be such a one: what is compiled to be run in the build is not for a target that is named, and nothing is tried.
  v4 = suite {
    env = common.env // {
      CARGO_BUILD_TARGET = "x86_64-unknown-linux-gnu";
      RUSTFLAGS = "-C target-cpu=x86-64-v4";
    };
    doInstallCheck = false;
  };
in
suite { }
// lib.optionalAttrs (isLinux && isx86_64) {
  rust-inference-cuda = withCuda;
  rust-inference-v4 = v4.rust-inference;
  python-executor-v4 = v4.python-executor;
  callspan-v4 = v4.callspan;
}
// lib.optionalAttrs isDarwin { rust-inference-metal = withMetal; }
