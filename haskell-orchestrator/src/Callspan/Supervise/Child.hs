-- | One server process that we started: its start, how it ended, and its end.
module Callspan.Supervise.Child
  ( Program (..),
    Child,
    startChild,
    stopChild,
    childExit,
    describeExit,
    childTail,
  )
where

import Callspan.Supervise.Watchdog
import Control.Concurrent (threadDelay)
import Control.Concurrent.Async (Async, async, cancel, waitCatch)
import Control.Exception (IOException, mask_, onException, try)
import Control.Monad (void)
import Data.ByteString.Char8 qualified as Bytes
import Data.Foldable (for_, toList)
import Data.IORef (IORef, modifyIORef', newIORef, readIORef)
import Data.Sequence (Seq)
import Data.Sequence qualified as Seq
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8With)
import Data.Text.Encoding.Error (lenientDecode)
import GHC.IO.Handle (hDuplicate)
import System.Exit (ExitCode (..))
import System.IO (Handle, IOMode (..), stderr, withFile)
import System.Posix.Signals (Signal, signalProcess, signalProcessGroup, sigKILL, sigTERM)
import System.Posix.Types (CPid)
import System.Process
import System.Timeout (timeout)

-- | What to start, and where it will listen.
data Program = Program
  { programName :: Text,
    programPath :: FilePath,
    programArguments :: [String],
    programSocket :: FilePath,
    -- | Its stdout and stderr are for the person, not for us.
    programTalks :: Bool
  }
  deriving stock (Show, Eq)

data Child = Child
  { childProcess :: ProcessHandle,
    childPid :: Maybe CPid,
    childWatchdog :: Watchdog,
    -- | The last lines that it wrote on stderr.
    childLines :: IORef (Seq Text),
    childListener :: Maybe (Async ())
  }

-- | Every line that it writes on stderr is also given to the function.
startChild :: Watchdog -> (Text -> IO ()) -> Program -> IO Child
startChild watchdog said program = mask_ $
  withFile "/dev/null" ReadWriteMode $ \null' -> do
    -- createProcess closes the handles that it is given.
    ours <- if programTalks program then Just <$> hDuplicate stderr else pure Nothing
    ours' <- traverse hDuplicate ours
    (_, _, errors, process) <-
      createProcess
        (proc (programPath program) (programArguments program))
          { std_in = UseHandle null',
            std_out = maybe (UseHandle null') UseHandle ours,
            std_err = maybe CreatePipe UseHandle ours',
            create_group = True
          }
    pid <- getPid process
    for_ pid (watch watchdog) `onException` terminateProcess process
    kept <- newIORef Seq.empty
    Child process pid watchdog kept <$> traverse (async . listen said kept) errors

listen :: (Text -> IO ()) -> IORef (Seq Text) -> Handle -> IO ()
listen said kept handle = do
  line <- try (Bytes.hGetLine handle)
  case line of
    Left (_ :: IOException) -> pure ()
    Right bytes -> do
      let text = decodeUtf8With lenientDecode (Bytes.take maxLine bytes)
      modifyIORef' kept (\ls -> Seq.drop (Seq.length ls - (maxLines - 1)) ls Seq.|> text)
      said text
      listen said kept handle
  where
    maxLines = 12
    maxLine = 500

-- | Nothing while it runs.
childExit :: Child -> IO (Maybe ExitCode)
childExit = getProcessExitCode . childProcess

describeExit :: ExitCode -> Text
describeExit = \case
  ExitFailure n | n < 0 -> "was killed by signal " <> Text.pack (show (negate n))
  ExitFailure n -> "ended with exit code " <> Text.pack (show n)
  ExitSuccess -> "ended by itself"

-- | What it said last; of one that has ended, all that it said.
childTail :: Child -> IO [Text]
childTail child = do
  exited <- childExit child
  for_ exited (\_ -> for_ (childListener child) (timeout 200000 . waitCatch))
  toList <$> readIORef (childLines child)

-- | SIGTERM, and SIGKILL for whatever of its group is left after the grace.
stopChild :: Child -> IO ()
stopChild child = do
  running <- childExit child
  case running of
    Nothing -> signal signalProcess sigTERM >> void (waitUpTo graceMicros)
    Just _ -> pure ()
  signal signalProcessGroup sigKILL
  _ <- waitUpTo graceMicros
  for_ (childPid child) (unwatch (childWatchdog child))
  for_ (childListener child) cancel
  where
    signal :: (Signal -> CPid -> IO ()) -> Signal -> IO ()
    signal send which = for_ (childPid child) $ \pid ->
      void (try (send which pid) :: IO (Either IOException ()))
    waitUpTo micros
      | micros <= 0 = pure Nothing
      | otherwise = childExit child >>= maybe (threadDelay pollMicros >> waitUpTo (micros - pollMicros)) (pure . Just)
    graceMicros = 2000000
    pollMicros = 2000 :: Int
