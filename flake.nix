{
  description = "Callspan: a sentence becomes a tool call, run in a sandbox, over Unix sockets";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forEachSystem =
        make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      # What `make build`, `make test` and `make lint` need, in place of Debian's packages.
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.cargo-nextest
            pkgs.clippy
            pkgs.rustc
            pkgs.rustfmt
            (pkgs.haskellPackages.ghcWithPackages (haskell: [
              haskell.aeson
              haskell.async
              haskell.hspec
              haskell.network
              haskell.optparse-applicative
              haskell.QuickCheck
              haskell.random
              haskell.scientific
            ]))
            pkgs.cabal-install
            pkgs.hlint
            pkgs.python311
            pkgs.socat
            pkgs.shellcheck
          ];
          # The interpreter that .venv is made from, and that python-executor embeds.
          env.PYTHON = "${pkgs.python311}/bin/python3";
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt);
    };
}
