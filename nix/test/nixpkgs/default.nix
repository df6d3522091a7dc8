# The packages: each is a derivation that has all its arguments in it as JSON, so that evaluating it evaluates every one
# of them. A lazy stand-in would find no mistake. Builders take the arguments that nixpkgs' take and no others.
{
  system,
  config ? { },
  overlays ? [ ],
}:
let
  lib = import ./lib.nix;
  names = import ./names.nix;

  platforms = {
    x86_64-linux = {
      isLinux = true;
      isDarwin = false;
      isx86_64 = true;
    };
    aarch64-linux = {
      isLinux = true;
      isDarwin = false;
      isx86_64 = false;
    };
    aarch64-darwin = {
      isLinux = false;
      isDarwin = true;
      isx86_64 = false;
    };
  };
  hostPlatform =
    platforms.${system} or (throw "Nixpkgs 26.11 has dropped support for ${system}, or never had any");

  plain =
    value:
    if builtins.isFunction value then
      null
    else if builtins.isAttrs value then
      # A derivation, or a source.
      if value ? outPath then value.outPath else builtins.mapAttrs (_: plain) value
    else if builtins.isList value then
      map plain value
    else
      value;

  # `fake` ARGUMENTS: passthru and meta are of the result and not of the derivation, as in nixpkgs; meta is forced too.
  fake =
    arguments:
    let
      name = arguments.name or "${arguments.pname}-${arguments.version or "0"}";
      given = removeAttrs arguments [ "passthru" ];
      drv = derivation {
        inherit name system;
        builder = "/bin/sh";
        arguments = builtins.unsafeDiscardStringContext (builtins.toJSON (plain given));
      };
    in
    drv
    // {
      pname = arguments.pname or name;
      meta = arguments.meta or { };
      inherit arguments;
    }
    // arguments.passthru or { };

  # Of another platform, or unfree: an error that names the package, as in nixpkgs.
  package =
    pname: about:
    if about ? linux && !hostPlatform.isLinux then
      throw "Refusing to evaluate package '${pname}': it is not available on ${system}"
    else if about ? unfree && !(config.allowUnfree or false) then
      throw "Refusing to evaluate package '${pname}': it has an unfree license"
    else
      fake {
        inherit pname;
        meta.mainProgram = pname;
      };
  all = builtins.mapAttrs package;

  python =
    pname: about:
    package pname about
    // {
      interpreter = "${package pname about}/bin/${pname}";
      sitePackages = "lib/${pname}/site-packages";
      withPackages =
        choose:
        fake {
          pname = "${pname}-env";
          packages = choose (all names.pythonPackages);
        };
    };

  compiler = fake { pname = "cc-wrapper"; } // {
    cc = fake { pname = "cc"; };
  };

  haskellSet =
    let
      set = all names.haskellPackages // {
        mkDerivation =
          arguments:
          fake (removeAttrs arguments [ "mainProgram" ] // { meta.mainProgram = arguments.mainProgram; });
        ghcWithPackages =
          choose:
          fake {
            pname = "ghc-with-packages";
            packages = choose set;
          };
        callPackage =
          file: given:
          let
            function = import file;
            wanted = builtins.functionArgs function;
          in
          function (builtins.mapAttrs (name: _: given.${name} or set.${name}) wanted);
      };
    in
    set;

  pkgs =
    all names.packages
    // builtins.mapAttrs python names.pythons
    // {
      inherit lib config;
      stdenv = {
        inherit hostPlatform;
        cc = compiler;
        mkDerivation = fake;
      };
      skopeo = package "skopeo" { } // {
        policy = fake { pname = "policy"; };
      };
      beamMinimalPackages = all names.beamMinimalPackages;
      rustPlatform.rustLibSrc = fake { pname = "rust-lib-src"; };
      cudaPackages_12_9 =
        builtins.mapAttrs (name: about: package name (about // { unfree = true; })) names.cudaPackages
        // {
          backendStdenv.cc = compiler;
        };
      haskellPackages = haskellSet;
      haskell = {
        packages.ghc910 = haskellSet;
        lib.compose.justStaticExecutables = package: package;
      };
    }
    // import ./builders.nix { inherit fake hostPlatform; };

  apply = packages: overlay: packages // overlay final packages;
  final = builtins.foldl' apply pkgs overlays;
in
final
