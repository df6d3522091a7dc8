{
  description = "Callspan: a sentence becomes a tool call, run in a sandbox, over Unix sockets";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      crane,
    }:
    let
      inherit (nixpkgs) lib;
      # No x86_64-darwin: nixpkgs dropped it with 26.11, and refuses to evaluate for it.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      # Made with our own overlay, so that whoever takes that gets what is tested here.
      packageSets =
        config:
        lib.genAttrs systems (
          system:
          import nixpkgs {
            inherit system config;
            overlays = [ self.overlays.default ];
          }
        );
      free = packageSets { };
      # CUDA is unfree. Only what names it is taken from these.
      unfree = packageSets { allowUnfree = true; };
      outputs = lib.genAttrs systems (
        system:
        import ./nix {
          pkgs = free.${system};
          cudaPkgs = unfree.${system};
          inherit crane;
          inherit (self.lib) buildInfo;
        }
      );
      each = name: lib.genAttrs systems (system: outputs.${system}.${name});
    in
    {
      lib.buildInfo = import ./nix/build-info.nix { inherit lib self; };
      overlays.default = import ./nix/overlay.nix {
        inherit crane;
        inherit (self.lib) buildInfo;
      };
      templates = import ./nix/templates.nix { inherit lib; };
      packages = each "packages";
      checks = each "checks";
      apps = each "apps";
      devShells = each "devShells";
      formatter = each "formatter";
    };
}
