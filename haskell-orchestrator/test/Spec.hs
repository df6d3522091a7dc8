-- | All tests; or one of the processes that some of them start.
module Main (main) where

import AgentSpec qualified
import AskSpec qualified
import ClientSpec qualified
import FakeServer (serveAsProcess)
import GoldenSpec qualified
import InitSpec qualified
import LinesSpec qualified
import MessageSpec qualified
import OptionsSpec qualified
import RenderSpec qualified
import SuperviseSpec qualified
import System.Environment (getArgs)
import Test.Hspec

main :: IO ()
main =
  getArgs >>= \case
    ["serve-as-process", path] -> serveAsProcess path
    ["hold-server", directory] -> SuperviseSpec.holdServer directory
    _ -> hspec $ do
      describe "Agent" AgentSpec.spec
      describe "Ask" AskSpec.spec
      describe "Message" MessageSpec.spec
      describe "Golden vectors" GoldenSpec.spec
      describe "Lines" LinesSpec.spec
      describe "Client" ClientSpec.spec
      describe "Supervise" SuperviseSpec.spec
      describe "Render" RenderSpec.spec
      describe "Options" OptionsSpec.spec
      describe "Init" InitSpec.spec
