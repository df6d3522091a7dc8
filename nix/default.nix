# The outputs of the flake for one system.
{
  pkgs,
  cudaPkgs,
  crane,
  buildInfo,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) isLinux isx86_64;
  # The names of CUDA's packages are looked up when they are asked for only: they cost a second evaluation of nixpkgs.
  programs =
    pkgs.callspanPackages
    // lib.optionalAttrs (isLinux && isx86_64) {
      inherit (cudaPkgs.callspanPackages) rust-inference-cuda;
    };
  images = lib.optionalAttrs isLinux (import ./images.nix { inherit pkgs programs buildInfo; });
in
{
  packages = programs // images // { default = programs.callspan; };
  checks = import ./checks.nix {
    inherit
      pkgs
      programs
      images
      buildInfo
      ;
    craneLib = crane.mkLib pkgs;
  };
  apps = import ./apps.nix {
    inherit
      pkgs
      programs
      images
      buildInfo
      ;
  };
  devShells = import ./shells.nix { inherit pkgs cudaPkgs; };
  formatter = pkgs.nixfmt-tree;
}
