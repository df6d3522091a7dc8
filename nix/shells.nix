# `nix develop .#NAME`, or CALLSPAN_SHELL=NAME with direnv. One table: what a shell has besides what all have.
{ pkgs, cudaPkgs }:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) isDarwin isLinux isx86_64;

  # What `make build`, `make test` and `make lint` need, in place of Debian's packages.
  tools =
    { haskell, python }:
    [
      pkgs.cargo
      pkgs.cargo-deny
      pkgs.cargo-nextest
      pkgs.clippy
      pkgs.rust-analyzer
      pkgs.rustc
      pkgs.rustfmt

      (haskell.ghcWithPackages (libraries: [
        libraries.aeson
        libraries.async
        libraries.hspec
        libraries.network
        libraries.optparse-applicative
        libraries.QuickCheck
        libraries.random
        libraries.scientific
      ]))
      haskell.haskell-language-server
      pkgs.cabal-install
      pkgs.hlint

      python
      pkgs.uv

      pkgs.beamMinimalPackages.elixir
      pkgs.direnv
      pkgs.jq
      pkgs.nodejs
      pkgs.protobuf
      pkgs.shellcheck
      pkgs.socat
    ]
    ++ lib.optional isLinux pkgs.strace;

  metal = {
    METAL_DEVICE_BACKEND = "metal";
    MISTRALRS_FEATURES = "mistralrs-metal";
    # Apple's compiler of kernels comes with Xcode only; without it they are compiled at the start.
    MISTRALRS_METAL_PRECOMPILE = "0";
  };

  # What wheels in .venv (numpy's Fortran library, torch) take for granted, and Nix's Python does not look for elsewhere.
  wheels = lib.makeLibraryPath [
    pkgs.stdenv.cc.cc
    pkgs.zlib
  ];

  cuda = cudaPkgs.cudaPackages_12_9;
  gpu = {
    packages = [
      cuda.cudatoolkit
      cuda.cudnn
      pkgs.cmake
      pkgs.pkg-config
    ];
    env = {
      CUDA_HOME = "${cuda.cudatoolkit}";
      CUDA_PATH = "${cuda.cudatoolkit}";
      CUDA_TOOLKIT_ROOT_DIR = "${cuda.cudatoolkit}";
      # Of the compilers that nvcc works with the newest; others it refuses.
      CUDAHOSTCXX = "${cuda.backendStdenv.cc}/bin/g++";
      NVCC_CCBIN = "${cuda.backendStdenv.cc}/bin/g++";
      # The driver's own libraries: of NixOS, and of WSL2.
      LD_LIBRARY_PATH = "/run/opengl-driver/lib:/usr/lib/wsl/lib:${
        lib.makeLibraryPath [ cuda.cudatoolkit ]
      }:${wheels}";
      MISTRALRS_FEATURES = "mistralrs-cuda";
    };
  };

  # For this machine alone: what is compiled so may not run on another.
  native = {
    CFLAGS = "-O3 -march=native";
    CXXFLAGS = "-O3 -march=native";
    # nixpkgs' compilers leave `native` out unless they are told that it is meant.
    NIX_ENFORCE_NO_NATIVE = "0";
    RUSTFLAGS = "-C target-cpu=native";
  };

  table = {
    default = { };
    ai.packages = [
      pkgs.codex
      pkgs.goose-cli
      pkgs.llama-cpp
      pkgs.ollama
      pkgs.opencode
    ];
    docs.packages = [
      pkgs.mdbook
      pkgs.mdbook-mermaid
    ];
    cpu-opt.env = native;
    containers.packages = [
      pkgs.apacheHttpd
      pkgs.cosign
      pkgs.distribution
      pkgs.openssl
      pkgs.podman
      pkgs.skopeo
      pkgs.syft
    ]
    ++ lib.optional isLinux pkgs.buildah;
    ghc910.haskell = pkgs.haskell.packages.ghc910;
    py312.python = pkgs.python312;
    py313.python = pkgs.python313;
  }
  // lib.optionalAttrs isLinux {
    # What a trusted execution environment says of itself: TPM and SEV-SNP.
    tee.packages = [
      pkgs.openssl
      pkgs.snpguest
      pkgs.tpm2-tools
    ];
  }
  // lib.optionalAttrs (isLinux && isx86_64) {
    inherit gpu;
    gpu-opt = {
      inherit (gpu) packages;
      env =
        gpu.env
        // native
        // {
          # From Turing to Hopper.
          TORCH_CUDA_ARCH_LIST = "7.5;8.0;8.6;8.9;9.0";
        };
    };
  }
  // lib.optionalAttrs isDarwin { metal = { }; };

  shell =
    name:
    {
      packages ? [ ],
      env ? { },
      haskell ? pkgs.haskellPackages,
      python ? pkgs.python311,
    }:
    pkgs.mkShell {
      name = "callspan-${name}";
      packages = tools { inherit haskell python; } ++ packages;
      env = {
        CALLSPAN_IN_SHELL = name;
        MISTRALRS_FEATURES = "mistralrs";
        # The interpreter that .venv is made from, and that python-executor embeds; none is downloaded.
        PYTHON = python.interpreter;
        UV_PYTHON = python.interpreter;
        UV_PYTHON_DOWNLOADS = "never";
        RUST_SRC_PATH = "${pkgs.rustPlatform.rustLibSrc}";
      }
      // lib.optionalAttrs isLinux { LD_LIBRARY_PATH = wheels; }
      // lib.optionalAttrs isDarwin metal
      // env;
      # Says something only when .venv has to be made anew, or on request; with direnv .envrc does the latter.
      shellHook = ''
        [ ! -x scripts/setup-python ] || scripts/setup-python
        if [ -n "''${CALLSPAN_SUMMARY:-}" ] && [ -z "''${DIRENV_IN_ENVRC:-}" ] && [ -x scripts/verify-workspace ]; then
          scripts/verify-workspace --line
        fi
      '';
    };
in
builtins.mapAttrs shell table
