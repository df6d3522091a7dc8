# Images, as programs that write an archive to stdout, so that the store keeps none of it twice. deploy/images/build loads
# them; what they are is the same as in deploy/Containerfile, but for what they stand on.
{
  pkgs,
  programs,
  buildInfo,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) isx86_64;

  sources = import ./sources.nix { inherit lib; };
  user = 10001;
  home = "home/callspan";

  # What is in each besides ipc, and what it starts. Who watches over callspan's servers is a script of /bin/sh.
  contents = suite: {
    inference = [ suite.rust-inference ];
    executor = [ suite.python-executor ];
    orchestrator = [
      suite.orchestrator
      pkgs.busybox
    ];
    all = [
      suite.callspan
      pkgs.busybox
    ];
  };
  entrypoints = {
    inference = "rust-inference";
    executor = "python-executor";
    orchestrator = "callspan";
    all = "callspan";
  };

  # `cpu`: the processor that it is compiled for, if it is a special one, told as deploy/images/verify wants it told.
  image =
    suite: cpu: name: packages:
    pkgs.dockerTools.streamLayeredImage {
      name = "callspan-${name}";
      tag = buildInfo.version + lib.optionalString (cpu != null) "-${cpu}";
      inherit (buildInfo) created;
      contents = packages ++ lib.optional (name != "all") suite.ipc ++ [ pkgs.cacert ];
      extraCommands = ''
        mkdir -p ${home}/.cache run/callspan
        mkdir -m 1777 tmp
        chmod 700 ${home} run/callspan
      '';
      # All else is root's (`uid` would make the store's files the user's, and not these): who runs may not write it.
      fakeRootCommands = ''
        chown -R ${toString user}:${toString user} ${home} run/callspan
      '';
      config = {
        Entrypoint = [ "/bin/${entrypoints.${name}}" ];
        User = "${toString user}:${toString user}";
        WorkingDir = "/${home}";
        Env = [
          "HOME=/${home}"
          "PATH=/bin"
          "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
          "XDG_RUNTIME_DIR=/run"
        ]
        # For `callspan init`; all together know where they are.
        ++ lib.optional (name == "orchestrator") "CALLSPAN_TEMPLATES=${sources.templates}";
        Labels =
          buildInfo.images.${name}
          // lib.optionalAttrs (cpu != null) {
            "org.opencontainers.image.description" = "${
              buildInfo.images.${name}."org.opencontainers.image.description"
            } (compiled for ${cpu})";
          };
      };
    };
  images = suite: cpu: builtins.mapAttrs (image suite cpu) (contents suite);
  named = suffix: lib.mapAttrs' (name: lib.nameValuePair "image-${name}${suffix}");
in
named "" (images programs.callspan.programs null)
// lib.optionalAttrs isx86_64 (named "-v4" (images programs.callspan-v4.programs "x86-64-v4"))
