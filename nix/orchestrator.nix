# By hand, from callspan.cabal: cabal2nix would make it while evaluating (import from derivation). scripts/check-flake
# compares the two lists.
{
  mkDerivation,
  aeson,
  async,
  base,
  bytestring,
  containers,
  directory,
  filepath,
  hspec,
  network,
  optparse-applicative,
  process,
  QuickCheck,
  random,
  scientific,
  stm,
  text,
  transformers,
  unix,
  license,
  src,
  version,
}:
mkDerivation {
  pname = "callspan";
  inherit license src version;
  postUnpack = "sourceRoot+=/haskell-orchestrator";
  isLibrary = true;
  isExecutable = true;
  libraryHaskellDepends = [
    aeson
    async
    base
    bytestring
    containers
    directory
    filepath
    network
    optparse-applicative
    process
    random
    scientific
    stm
    text
    transformers
    unix
  ];
  executableHaskellDepends = [ base ];
  testHaskellDepends = [
    aeson
    async
    base
    bytestring
    directory
    filepath
    hspec
    network
    process
    QuickCheck
    text
    unix
  ];
  description = "One sentence → a tool call → a sandboxed Python tool → an answer";
  mainProgram = "callspan";
}
