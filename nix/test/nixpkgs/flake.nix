{
  description = "A stand-in for nixpkgs: what this flake names of it, as derivations that build nothing";

  outputs =
    { self }:
    {
      lib = import ./lib.nix;
      legacyPackages = self.lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
        system: import self { inherit system; }
      );
    };
}
