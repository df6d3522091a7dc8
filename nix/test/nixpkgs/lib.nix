# Of nixpkgs' `lib` what the flake uses, and no more, so that a misspelt function is found. Written anew, small, and
# strict where nixpkgs is: a file set of a file that is not there is an error.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    filter
    head
    isAttrs
    isPath
    isString
    listToAttrs
    match
    pathExists
    readDir
    split
    stringLength
    substring
    toString
    ;

  lib = {
    genAttrs = names: make: listToAttrs (map (name: lib.nameValuePair name (make name)) names);
    nameValuePair = name: value: { inherit name value; };
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    optionalAttrs = yes: set: if yes then set else { };
    optional = yes: element: if yes then [ element ] else [ ];
    optionalString = yes: text: if yes then text else "";
    findFirst =
      wanted: default: list:
      let
        found = filter wanted list;
      in
      if found == [ ] then default else head found;

    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    removePrefix =
      prefix: text:
      if lib.hasPrefix prefix text then
        substring (stringLength prefix) (stringLength text) text
      else
        text;
    # Here only by what is no special character of an expression.
    splitString = separator: text: filter isString (split separator text);
    trim = text: head (match "[[:space:]]*(.*[^[:space:]]|)[[:space:]]*" text);
    importTOML = path: builtins.fromTOML (builtins.readFile path);

    makeLibraryPath = packages: concatStringsSep ":" (map (package: "${package}/lib") packages);
    getDev = package: package.dev or package;
    getExe =
      package:
      "${package}/bin/${package.meta.mainProgram or (throw "${package.name} has no mainProgram")}";

    licenses = {
      asl20.spdxId = "Apache-2.0";
      mit.spdxId = "MIT";
    };
    platforms.unix = [ "unix" ];

    inherit fileset;
  };

  # A file set is the list of its files, below the root of the checkout.
  fileset = {
    unions = sets: { files = concatMap (set: (coerce set).files) sets; };
    difference = from: what: {
      files =
        let
          without = map toString (coerce what).files;
        in
        filter (file: !builtins.elem (toString file) without) (coerce from).files;
    };
    fileFilter = wanted: path: {
      files = filter (
        file:
        let
          name = baseNameOf (toString file);
        in
        wanted {
          inherit name;
          type = "regular";
          hasExt = extension: match ".*[.]${extension}" name != null;
        }
      ) (coerce path).files;
    };
    toSource =
      { root, fileset }:
      let
        files = map toString (coerce fileset).files;
        kept = listToAttrs (map (file: lib.nameValuePair file true) (concatMap ancestry files));
        ancestry =
          file: if file == toString root || file == "/" then [ ] else [ file ] ++ ancestry (dirOf file);
        outside = filter (file: !lib.hasPrefix "${toString root}/" file) files;
      in
      if outside != [ ] then
        throw "lib.fileset.toSource: ${head outside} is not below ${toString root}"
      else
        # As nixpkgs' cleanSourceWith: crane looks into the origin, because what is filtered is not there yet.
        rec {
          _isLibCleanSourceWith = true;
          origSrc = root;
          filter = path: _: kept ? ${path};
          outPath = builtins.path {
            path = root;
            name = "source";
            inherit filter;
          };
        };
  };

  coerce =
    set:
    if isAttrs set && set ? files then
      set
    else if !isPath set then
      throw "lib.fileset: neither a path nor a file set"
    else if !pathExists set then
      throw "lib.fileset: ${toString set} does not exist"
    else
      { files = below set; };

  # A directory has files, a file is one.
  below =
    path:
    let
      name = baseNameOf (toString path);
      kind = (readDir (dirOf path)).${name};
    in
    if kind == "directory" then
      concatMap (entry: below (path + "/${entry}")) (attrNames (readDir path))
    else
      [ path ];
in
lib
