-- | @agent "Set an alarm for 7"@, with servers that run.
module Main (main) where

import Agent (AgentError, ask)
import Control.Exception (Handler (..), catches, displayException, throwIO)
import Data.Text qualified as Text
import Data.Text.IO qualified as Text
import System.Environment (getArgs, lookupEnv)
import System.Exit (ExitCode (..), exitWith)
import System.FilePath ((</>))
import System.IO (hPutStrLn, hSetEncoding, stderr, stdout, utf8)
import Wire (WireError (..), withWire)

main :: IO ()
main = do
  mapM_ (`hSetEncoding` utf8) [stdout, stderr]
  getArgs >>= \case
    [question] -> answer question `catches` [Handler (\(e :: WireError) -> failed e), Handler (\(e :: AgentError) -> failed e)]
    _ -> stop 2 "usage: agent \"Set an alarm for 7\""
  where
    failed e = stop 1 ("error: " <> displayException e)
    stop code message = hPutStrLn stderr message >> exitWith (ExitFailure code)

answer :: String -> IO ()
answer question = do
  inference <- socketOf "CALLSPAN_INFERENCE_SOCKET" "inference.sock"
  executor <- socketOf "CALLSPAN_EXECUTOR_SOCKET" "executor.sock"
  withWire inference $ \i -> withWire executor $ \e ->
    ask i e (Text.hPutStrLn stderr) (Text.pack question) >>= Text.putStrLn

-- | Where a server listens, if it is told nothing else.
socketOf :: String -> FilePath -> IO FilePath
socketOf variable name =
  lookupEnv variable >>= \case
    Just given@(_ : _) -> pure given
    _ ->
      lookupEnv "XDG_RUNTIME_DIR" >>= \case
        Just directory@(_ : _) -> pure (directory </> "callspan" </> name)
        _ -> throwIO (Unreachable (Text.pack ("neither " <> variable <> " nor XDG_RUNTIME_DIR says where the server is")))
