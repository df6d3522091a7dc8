-- | The agent with the real servers, of CALLSPAN_BIN_DIR or PATH, with the built-in model and tools of its own.
module Main (main) where

import Agent
import Control.Concurrent (threadDelay)
import Control.Exception (bracket, try)
import Data.Aeson
import Data.IORef (modifyIORef', newIORef, readIORef)
import Data.Maybe (fromMaybe)
import Data.Text (Text)
import Data.Text qualified as Text
import System.Directory (executable, findExecutable, getPermissions, makeAbsolute, removePathForcibly)
import System.Environment (lookupEnv)
import System.FilePath ((</>))
import System.Posix.Temp (mkdtemp)
import System.Process (ProcessHandle, getProcessExitCode, proc, withCreateProcess)
import Test.Hspec
import Wire

main :: IO ()
main = do
  inference <- find "rust-inference"
  executor <- find "python-executor"
  tools <- makeAbsolute "test/tools"
  -- Short, because the path of a Unix socket holds about 100 bytes.
  bracket (mkdtemp "/tmp/cs-") removePathForcibly $ \room ->
    serving inference (room </> "i") [] . serving executor (room </> "e") ["--tools", tools] $
      hspec . aroundAll (\run -> withWire (room </> "i") $ \i -> withWire (room </> "e") $ \e -> run (i, e)) $ spec

spec :: SpecWith (Wire, Wire)
spec = do
  it "has the tool run that the question is for, and answers" $ \wires -> do
    (shown, answer) <- asked wires "Get the lamp status"
    shown `shouldBe` ["get_lamp_status {}", "= \"lit-since-noon\""]
    answer `shouldSatisfy` not . Text.null
  it "tells the model of a failure, and goes on" $ \wires -> do
    (shown, answer) <- asked wires "Get the door status"
    shown `shouldBe` ["get_door_status {}", "= {\"error\":\"the door is stuck\"}"]
    answer `shouldSatisfy` not . Text.null
  it "tells what a server refuses" $ \(inference, _) -> do
    refused <- try (request inference ("generate" .= object ["prompt" .= ("x" :: Text), "tool_choice" .= ("sometimes" :: Text)]) (.: "done"))
    case refused of
      Left (Refused code message _) -> do
        code `shouldBe` "INVALID_ARGUMENT"
        message `shouldSatisfy` Text.isInfixOf "sometimes"
      Left other -> expectationFailure (show other)
      Right (answer :: Value) -> expectationFailure (show answer)
  it "names a server that is not there" $ \_ ->
    withWire "/proc/nowhere" (const (pure ())) `shouldThrow` \case
      Unreachable why -> "/proc/nowhere" `Text.isInfixOf` why
      _ -> False

-- | What was shown, and the answer.
asked :: (Wire, Wire) -> Text -> IO ([Text], Text)
asked (inference, executor) question = do
  shown <- newIORef []
  answer <- ask inference executor (\line -> modifyIORef' shown (<> [line])) question
  (,) <$> readIORef shown <*> pure answer

find :: String -> IO FilePath
find name = do
  given <- lookupEnv "CALLSPAN_BIN_DIR"
  found <- case given of
    Just directory -> do
      runs <- try (executable <$> getPermissions (directory </> name))
      pure (either (\(_ :: IOError) -> Nothing) (\yes -> if yes then Just (directory </> name) else Nothing) runs)
    Nothing -> findExecutable name
  maybe (fail (name <> " is not in " <> fromMaybe "PATH" given <> ": put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR")) makeAbsolute found

-- | With this program listening there; it ends with the action.
serving :: FilePath -> FilePath -> [String] -> IO a -> IO a
serving program socket arguments use =
  withCreateProcess (proc program (["--socket", socket] <> arguments)) $ \_ _ _ process -> listening process 3000 >> use
  where
    listening :: ProcessHandle -> Int -> IO ()
    listening process left = do
      ended <- getProcessExitCode process
      case ended of
        Just code -> fail (program <> " ended before it listened, with " <> show code <> "; it says why on standard error")
        Nothing | left == 0 -> fail (program <> " does not listen within a minute")
        Nothing ->
          try (withWire socket (const (pure ()))) >>= \case
            Right () -> pure ()
            Left (_ :: WireError) -> threadDelay 20000 >> listening process (left - 1)
