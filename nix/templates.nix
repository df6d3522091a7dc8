# What `nix flake init --template` and `callspan init` begin with: each directory of templates/, told by its README.
{ lib }:
let
  directories = lib.filterAttrs (_: kind: kind == "directory") (builtins.readDir ../templates);
  title =
    path:
    lib.removePrefix "# " (
      builtins.head (lib.splitString "\n" (builtins.readFile (path + "/README.md")))
    );
in
builtins.mapAttrs (name: _: rec {
  path = ../templates + "/${name}";
  description = title path;
}) directories
