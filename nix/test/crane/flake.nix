{
  description = "A stand-in for crane: what this flake names of it, as derivations that build nothing";

  outputs = _: {
    mkLib =
      pkgs:
      let
        # crane reads the manifest and the lock file of its source while evaluating.
        cargo =
          kind: needed: args:
          let
            missing = builtins.filter (name: !(args ? ${name})) needed;
            files =
              builtins.filter (name: !args.src.filter (toString args.src.origSrc + "/${name}") "regular")
                [
                  "Cargo.toml"
                  "Cargo.lock"
                ];
          in
          if missing != [ ] then
            throw "crane ${kind}: ${builtins.head missing} is missing"
          else if files != [ ] then
            throw "crane ${kind}: its source has no ${builtins.head files}"
          else
            pkgs.stdenv.mkDerivation (args // { craneKind = kind; });
      in
      {
        buildDepsOnly = cargo "buildDepsOnly" [ "src" ];
        buildPackage = cargo "buildPackage" [ "src" ];
        cargoClippy = cargo "cargoClippy" [
          "src"
          "cargoArtifacts"
        ];
        cargoFmt = cargo "cargoFmt" [ "src" ];
        cargoNextest = cargo "cargoNextest" [
          "src"
          "cargoArtifacts"
        ];
      };
  };
}
