# nixpkgs' builders, with the arguments that they take (pkgs/build-support/trivial-builders, docker and mkshell).
{
  fake,
  lib,
  hostPlatform,
}:
{
  mkShell =
    {
      name,
      packages ? [ ],
      env ? { },
      shellHook ? "",
    }@arguments:
    # As nixpkgs does: what is not a string there is no variable.
    assert builtins.all builtins.isString (builtins.attrValues env);
    fake ({ inherit packages shellHook; } // arguments);

  runCommand =
    name: attributes: script:
    fake (attributes // { inherit name script; });

  symlinkJoin =
    {
      name,
      paths,
      nativeBuildInputs ? [ ],
      postBuild ? "",
      passthru ? { },
      meta ? { },
    }@arguments:
    fake ({ inherit nativeBuildInputs postBuild passthru meta; } // arguments);

  linkFarm = name: entries: fake { inherit name entries; };

  writeText = name: text: fake { inherit name text; };

  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? { },
    }@arguments:
    fake ({ inherit runtimeInputs runtimeEnv; } // arguments // { meta.mainProgram = name; });

  dockerTools.streamLayeredImage =
    {
      name,
      tag ? null,
      contents ? [ ],
      config ? { },
      created ? "1970-01-01T00:00:01Z",
      uid ? 0,
      gid ? 0,
      uname ? "root",
      gname ? "root",
      maxLayers ? 100,
      extraCommands ? "",
      fakeRootCommands ? "",
      passthru ? { },
    }@arguments:
    if !hostPlatform.isLinux then
      throw "dockerTools: images are made on Linux"
    else if builtins.match "[a-z0-9][a-z0-9._/-]*" name == null then
      throw "dockerTools: ${name} is no image's name"
    else if builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]*" (toString tag) == null then
      throw "dockerTools: ${toString tag} is no tag"
    else
      fake (arguments // { inherit tag config created; });
}
