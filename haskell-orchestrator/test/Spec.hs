module Main (main) where

import AgentSpec qualified
import GoldenSpec qualified
import MessageSpec qualified
import Test.Hspec

main :: IO ()
main = hspec $ do
  describe "Agent" AgentSpec.spec
  describe "Message" MessageSpec.spec
  describe "Golden vectors" GoldenSpec.spec
