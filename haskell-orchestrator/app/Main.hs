-- | The executable: everything is in the library, where it can be tested.
module Main (main) where

import Callspan.Cli qualified

main :: IO ()
main = Callspan.Cli.main
