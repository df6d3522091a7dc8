# nixpkgs' builders, with the arguments that they take (pkgs/build-support/trivial-builders, docker and mkshell).
{ fake, hostPlatform }:
let
  inherit (builtins) attrNames elem filter;

  # A function of a set that must have the required names, and may have the others, and no more.
  takes =
    builder: required: optional: make: arguments:
    let
      unexpected = filter (name: !elem name (required ++ optional)) (attrNames arguments);
      missing = filter (name: !arguments ? ${name}) required;
    in
    if unexpected != [ ] then
      throw "${builder}: unexpected argument '${builtins.head unexpected}'"
    else if missing != [ ] then
      throw "${builder}: no argument '${builtins.head missing}'"
    else
      make arguments;
in
{
  # What is not a string there is no variable.
  mkShell =
    takes "mkShell"
      [ "name" ]
      [
        "env"
        "packages"
        "shellHook"
      ]
      (
        arguments:
        assert builtins.all builtins.isString (builtins.attrValues arguments.env or { });
        fake arguments
      );

  runCommand =
    name: attributes: script:
    fake (attributes // { inherit name script; });

  symlinkJoin =
    takes "symlinkJoin"
      [ "name" "paths" ]
      [
        "meta"
        "nativeBuildInputs"
        "passthru"
        "postBuild"
      ]
      fake;

  linkFarm = name: entries: fake { inherit name entries; };

  writeText = name: text: fake { inherit name text; };

  writeShellApplication =
    takes "writeShellApplication"
      [ "name" "text" ]
      [
        "runtimeEnv"
        "runtimeInputs"
      ]
      (arguments: fake (arguments // { meta.mainProgram = arguments.name; }));

  dockerTools.streamLayeredImage =
    takes "streamLayeredImage"
      [ "name" "tag" ]
      [
        "config"
        "contents"
        "created"
        "extraCommands"
        "fakeRootCommands"
      ]
      (
        arguments:
        if !hostPlatform.isLinux then
          throw "streamLayeredImage: images are made on Linux"
        else if builtins.match "[a-z0-9][a-z0-9._/-]*" arguments.name == null then
          throw "streamLayeredImage: ${arguments.name} is no image's name"
        else if builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]*" arguments.tag == null then
          throw "streamLayeredImage: ${arguments.tag} is no tag"
        else
          fake arguments
      );
}
