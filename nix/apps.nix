# What `nix run .#NAME` starts. The work is in deploy/images and scripts/, which do the same without Nix.
{
  pkgs,
  programs,
  images,
  buildInfo,
}:
let
  inherit (pkgs) lib;

  app = description: program: {
    type = "app";
    program = lib.getExe program;
    meta = { inherit description; };
  };

  # It copies nothing without a policy, which is there only where a distribution installed it: then its own.
  skopeo = pkgs.writeShellApplication {
    name = "skopeo";
    text = ''
      policy=()
      if [ ! -e "$HOME/.config/containers/policy.json" ] && [ ! -e /etc/containers/policy.json ]; then
          policy=(--policy ${pkgs.skopeo.policy}/default-policy.json)
      fi
      exec ${lib.getExe pkgs.skopeo} "''${policy[@]}" "$@"
    '';
  };

  # A program of deploy/images, with what it needs.
  image =
    name: file: description: tools:
    app description (
      pkgs.writeShellApplication {
        inherit name;
        runtimeInputs = tools ++ [
          pkgs.coreutils
          pkgs.git
          pkgs.jq
        ];
        runtimeEnv = {
          CALLSPAN_BUILD_INFO = "${pkgs.writeText "build-info.json" (builtins.toJSON buildInfo)}";
        }
        // lib.optionalAttrs (name == "build-images") { CALLSPAN_IMAGE_STREAMS = "${streams}"; };
        text = builtins.readFile file;
      }
    );

  # As deploy/images/build looks for them: IMAGE, or IMAGE-PROCESSOR.
  streams = pkgs.linkFarm "callspan-images" (
    lib.mapAttrs' (
      name: lib.nameValuePair (builtins.replaceStrings [ "image-" "-v4" ] [ "" "-x86-64-v4" ] name)
    ) images
  );

  # A script of the checkout that one stands in: the sources of the documents are there.
  script =
    name: command: description:
    app description (
      pkgs.writeShellApplication {
        inherit name;
        runtimeInputs = [
          pkgs.cargo
          pkgs.git
          pkgs.mdbook
          pkgs.mdbook-mermaid
          pkgs.python3
          pkgs.rustc
          pkgs.stdenv.cc
        ];
        text = ''
          root=$(git rev-parse --show-toplevel 2>/dev/null) || root=.
          if [ ! -e "$root/scripts/lib.sh" ]; then
              printf 'error: this is no checkout of Callspan\n  fix: call it in a clone\n' >&2
              exit 2
          fi
          cd "$root"
          exec ${command} "$@"
        '';
      }
    );
in
{
  default = app "Ask a question: a sentence becomes a tool call, and its result an answer" programs.callspan;

  docs-build = script "docs-build" "scripts/docs-build" "Build the site of the documents";
  docs-serve =
    script "docs-serve" "scripts/docs-serve"
      "Serve the site of the documents, built anew at each change";
  docs-check =
    script "docs-check" "python3 scripts/check_docs.py"
      "Check links and commands in the documents";

  push = image "push" ../deploy/images/push "Push an image to a registry" [ skopeo ];
  registry = image "registry" ../deploy/images/registry "Serve a registry for this machine alone" [
    pkgs.apacheHttpd
    pkgs.distribution
    pkgs.openssl
  ];
  verify =
    image "verify" ../deploy/images/verify
      "Compare an image's labels and id with what this revision makes"
      [
        pkgs.podman
        skopeo
      ];
}
// lib.optionalAttrs (images != { }) {
  build-images =
    image "build-images" ../deploy/images/build "Make the images and load them into podman's store"
      [
        pkgs.podman
        skopeo
      ];
}
