-- | From what was asked for on the command line to what is to be done: everything is checked before anything starts.
module Callspan.Config
  ( AskOptions (..),
    Plan (..),
    Place (..),
    Problem (..),
    makePlan,
    makeRuntimeDirectory,
  )
where

import Control.Exception (IOException, try)
import Control.Monad (unless, when)
import Control.Monad.IO.Class (liftIO)
import Control.Monad.Trans.Except (ExceptT (..), runExceptT, throwE)
import Data.Char (isSpace)
import Data.Foldable (for_)
import Data.Maybe (catMaybes, isJust)
import Data.Text (Text)
import Data.Text qualified as Text
import System.Directory (doesDirectoryExist, doesFileExist, executable, findExecutable, getPermissions, makeAbsolute)
import System.Environment (getExecutablePath, lookupEnv)
import System.FilePath (takeDirectory, (</>))
import System.Posix.Temp (mkdtemp)

-- | @callspan ask@ as it was typed.
data AskOptions = AskOptions
  { askQuestion :: String,
    askTools :: Maybe FilePath,
    askModel :: Maybe FilePath,
    askJson :: Bool,
    askMaxRounds :: Int,
    askTimeoutSeconds :: Int,
    askInference :: Maybe FilePath,
    askExecutor :: Maybe FilePath,
    askTap :: Bool,
    askVerbose :: Bool
  }
  deriving stock (Show, Eq)

-- | What was wrong, and what to do about it.
data Problem
  = -- | With the command line.
    Usage Text Text
  | -- | With what is (not) installed here.
    Environment Text Text
  deriving stock (Show, Eq)

-- | Where each server is. The runtime directory is filled in when it has been made.
data Plan = Plan
  { planInference :: Place,
    planExecutor :: Place,
    planTap :: Maybe FilePath
  }
  deriving stock (Show, Eq)

data Place
  = -- | Somebody started it.
    Running FilePath
  | -- | To be started, by this path with these arguments (and a socket).
    ToStart FilePath [String]
  deriving stock (Show, Eq)

makePlan :: AskOptions -> IO (Either Problem Plan)
makePlan options = runExceptT $ do
  when (all isSpace (askQuestion options)) (throwE (Usage "the question is empty" "callspan ask \"How many miles is 12 km?\""))
  when ('\xFFFD' `elem` askQuestion options || any surrogate (askQuestion options)) $
    throwE (Usage "the question is not UTF-8" "pass it in UTF-8")
  only "--model" (askModel options) "--inference" (askInference options) "rust-inference"
  only "--tools" (askTools options) "--executor" (askExecutor options) "python-executor"
  for_ (askModel options) (directory "--model")
  for_ (askTools options) (directory "--tools")
  Plan
    <$> place "rust-inference" (askInference options) ("--model", askModel options)
    <*> place "python-executor" (askExecutor options) ("--tools", askTools options)
    <*> if askTap options then Just <$> program "ipc" else pure Nothing
  where
    surrogate c = c >= '\xD800' && c <= '\xDFFF'
    only flag value socketFlag socket name =
      when (isJust value && isJust socket) . throwE $
        Usage
          (flag <> " is for a server that callspan starts, " <> socketFlag <> " for one that runs already")
          ("leave one of them out, or give " <> flag <> " to " <> name <> " yourself")
    directory flag path = do
      exists <- liftIO (doesDirectoryExist path)
      unless exists (throwE (Usage (flag <> ": there is no directory " <> Text.pack path) "give the path of a directory that exists"))
    place name given (flag, value) = case given of
      Just socket -> pure (Running socket)
      Nothing -> do
        path <- program name
        arguments <- liftIO (traverse makeAbsolute value)
        pure (ToStart path (maybe [] (\v -> [flag, v]) arguments))
    program = ExceptT . findProgram

-- | In @CALLSPAN_BIN_DIR@ if that is set, else beside our own executable, else on @PATH@.
findProgram :: String -> IO (Either Problem FilePath)
findProgram name =
  lookupEnv "CALLSPAN_BIN_DIR" >>= \case
    Just dir -> do
      found <- runnable (dir </> name)
      pure (if found then Right (dir </> name) else Left (Environment (shown <> " is not in CALLSPAN_BIN_DIR (" <> Text.pack dir <> ")") "build it there, or unset CALLSPAN_BIN_DIR"))
    Nothing -> do
      beside <- (</> name) . takeDirectory <$> getExecutablePath
      found <- runnable beside
      if found then pure (Right beside) else maybe (Left missing) Right <$> findExecutable name
  where
    shown = Text.pack name
    missing =
      Environment
        (shown <> " is neither beside callspan nor on PATH")
        "build all programs with `make build`, or set CALLSPAN_BIN_DIR to where they are"
    runnable path = do
      exists <- doesFileExist path
      if exists then executable <$> getPermissions path else pure False

-- | A new private directory (mode 0700) for sockets: their paths must be short.
makeRuntimeDirectory :: IO (Either Problem FilePath)
makeRuntimeDirectory = do
  candidates <- catMaybes <$> traverse lookupEnv ["XDG_RUNTIME_DIR", "TMPDIR"]
  go (filter short candidates <> ["/tmp"])
  where
    -- callspan-XXXXXX/rust-inference.sock and a tap's suffix must fit behind it.
    short dir = not (null dir) && length dir <= 50
    go [] = pure (Left (Environment "no directory for sockets can be made in XDG_RUNTIME_DIR, TMPDIR or /tmp" "set XDG_RUNTIME_DIR to a directory of yours"))
    go (dir : more) = try (mkdtemp (dir </> "callspan-")) >>= either (\(_ :: IOException) -> go more) (pure . Right)
