{ crane, buildInfo }:
final: _prev: {
  callspanPackages = import ./packages.nix {
    pkgs = final;
    craneLib = crane.mkLib final;
    inherit (buildInfo) version;
  };
  inherit (final.callspanPackages) callspan;
}
