# What programs and images say of themselves. Without Nix, scripts/build-info prints the same; scripts/check-flake
# compares the two.
{ lib, self }:
let
  workspace = (lib.importTOML ../Cargo.toml).workspace.package;
  inherit (workspace) version;
  licenses = workspace.license;

  # Git's HEAD, `-dirty` if there are changes. Nix does not tell it of an archive, nor as long as there is no flake.lock.
  revision = self.rev or self.dirtyRev or "unknown";

  # 20261122093000 as RFC 3339.
  date = self.lastModifiedDate or "19700101000000";
  part = from: length: builtins.substring from length date;
  created = "${part 0 4}-${part 4 2}-${part 6 2}T${part 8 2}:${part 10 2}:${part 12 2}Z";

  described = crate: (lib.importTOML crate).package.description;
  synopsis = lib.trim (
    lib.removePrefix "synopsis:" (
      lib.findFirst (lib.hasPrefix "synopsis:")
        (throw "haskell-orchestrator/callspan.cabal has no synopsis")
        (lib.splitString "\n" (builtins.readFile ../haskell-orchestrator/callspan.cabal))
    )
  );

  # No `source`: Cargo.toml names no repository, and none is invented.
  labels =
    image: description:
    lib.mapAttrs' (key: lib.nameValuePair "org.opencontainers.image.${key}") {
      inherit
        created
        description
        licenses
        revision
        version
        ;
      title = "callspan-${image}";
    };
in
{
  inherit
    version
    revision
    created
    licenses
    ;
  dirty = !(self ? rev);
  epoch = self.lastModified or 0;
  # The labels of each image.
  images = builtins.mapAttrs labels {
    inference = described ../rust-inference/Cargo.toml;
    executor = described ../python-executor/Cargo.toml;
    orchestrator = synopsis;
    all = (import ../flake.nix).description;
  };
}
