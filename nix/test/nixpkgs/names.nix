# Every name of a package that the flake uses, with the file of nixpkgs where it was seen. A name that is not here is an
# error, so that it is looked up before it is used: https://github.com/NixOS/nixpkgs/blob/master/FILE
#
# `linux`: of Linux only. What a stand-in cannot know is whether a package still is as it was.
let
  at = file: { inherit file; };
  byName = path: at "pkgs/by-name/${path}/package.nix";
  onLinux = about: about // { linux = true; };
  top = at "pkgs/top-level/all-packages.nix";
  hackage = at "pkgs/development/haskell-modules/hackage-packages.nix";
  cuda = name: at "pkgs/development/cuda-modules/packages/${name}.nix";
in
{
  packages = {
    apacheHttpd = top;
    autoAddDriverRunpath = onLinux (byName "au/autoAddDriverRunpath");
    buildah = onLinux (byName "bu/buildah");
    busybox = onLinux top;
    cabal-install = top;
    cacert = byName "ca/cacert";
    cargo = top;
    cargo-deny = byName "ca/cargo-deny";
    cargo-nextest = byName "ca/cargo-nextest";
    clippy = top;
    cmake = byName "cm/cmake";
    codex = byName "co/codex";
    coreutils = byName "co/coreutils";
    cosign = byName "co/cosign";
    deadnix = byName "de/deadnix";
    direnv = byName "di/direnv";
    distribution = byName "di/distribution";
    git = byName "gi/git";
    goose-cli = byName "go/goose-cli";
    hlint = top;
    jq = byName "jq/jq";
    llama-cpp = byName "ll/llama-cpp";
    makeBinaryWrapper = byName "ma/makeBinaryWrapper";
    mdbook = byName "md/mdbook";
    mdbook-mermaid = byName "md/mdbook-mermaid";
    nixfmt = byName "ni/nixfmt";
    nixfmt-tree = byName "ni/nixfmt-tree";
    nodejs = top;
    ollama = byName "ol/ollama";
    oniguruma = byName "on/oniguruma";
    opencode = byName "op/opencode";
    openssl = top;
    pkg-config = top;
    podman = byName "po/podman";
    protobuf = top;
    rust-analyzer = byName "ru/rust-analyzer";
    rustc = top;
    rustfmt = top;
    shellcheck = at "pkgs/development/tools/shellcheck/default.nix";
    skopeo = byName "sk/skopeo";
    snpguest = onLinux (byName "sn/snpguest");
    socat = byName "so/socat";
    strace = onLinux (byName "st/strace");
    syft = byName "sy/syft";
    tpm2-tools = onLinux (byName "tp/tpm2-tools");
    uv = byName "uv/uv";
    versionCheckHook = byName "ve/versionCheckHook";
    zlib = at "pkgs/development/libraries/zlib/default.nix";
  };

  beamMinimalPackages.elixir = at "pkgs/development/beam-modules/default.nix";

  pythons = {
    python3 = top;
    python311 = top;
    python312 = top;
    python313 = top;
  };

  pythonPackages = {
    pydantic = at "pkgs/development/python-modules/pydantic/default.nix";
    tzdata = at "pkgs/development/python-modules/tzdata/default.nix";
  };

  haskellPackages =
    builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value = hackage;
        })
        [
          "QuickCheck"
          "aeson"
          "async"
          "haskell-language-server"
          "hspec"
          "network"
          "optparse-applicative"
          "random"
          "scientific"
        ]
    )
    # They come with the compiler, and the set has a null for each.
    // builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value = at "pkgs/development/haskell-modules/configuration-ghc-9.10.x.nix";
        })
        [
          "base"
          "bytestring"
          "containers"
          "directory"
          "filepath"
          "process"
          "stm"
          "text"
          "transformers"
          "unix"
        ]
    );

  cudaPackages = {
    backendStdenv = cuda "backendStdenv";
    cccl = cuda "cccl";
    cuda_cudart = cuda "cuda_cudart";
    cuda_nvcc = at "pkgs/development/cuda-modules/packages/cuda_nvcc/package.nix";
    cuda_nvrtc = cuda "cuda_nvrtc";
    cudatoolkit = cuda "cudatoolkit";
    cudnn = cuda "cudnn";
    libcublas = cuda "libcublas";
    libcurand = cuda "libcurand";
  };
}
