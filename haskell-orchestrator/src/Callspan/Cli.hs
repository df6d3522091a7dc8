-- | The command line: options, help, exit codes, signals. Data goes to stdout, talk to stderr.
module Callspan.Cli
  ( main,
    hidden,
  )
where

import Callspan.Agent.Types
import Callspan.Ask
import Callspan.Budget
import Callspan.Config
import Callspan.Deadline
import Callspan.Init
import Callspan.Notice
import Callspan.Options
import Callspan.Render.Json
import Callspan.Render.Person
import Callspan.Supervise
import Callspan.Trace
import Control.Concurrent (MVar, myThreadId, newMVar, throwTo, tryTakeMVar, withMVar)
import Control.Exception (AsyncException (UserInterrupt), IOException, catch, displayException, toException)
import Control.Monad (unless, void)
import Data.ByteString.Lazy qualified as Lazy
import Data.Foldable (for_)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.IO qualified as Text
import GHC.IO.Encoding (mkTextEncoding, setFileSystemEncoding, setLocaleEncoding, utf8)
import GHC.IO.Exception (IOErrorType (ResourceVanished), ioe_description, ioe_handle, ioe_type)
import System.Environment (getArgs, lookupEnv)
import System.Exit (ExitCode (..), exitWith)
import System.IO (BufferMode (..), hFlush, hIsTerminalDevice, hSetBuffering, hSetEncoding, stderr, stdout)
import System.Posix.Signals (Handler (..), installHandler, sigHUP, sigINT, sigTERM)

main :: IO ()
main = do
  -- Whatever the locale says: our text is UTF-8, and so are arguments (other bytes survive as surrogates).
  setLocaleEncoding utf8
  mkTextEncoding "UTF-8//ROUNDTRIP" >>= setFileSystemEncoding
  for_ [stdout, stderr] (`hSetEncoding` utf8)
  hSetBuffering stdout LineBuffering
  unwindOnSignals
  code <- (getArgs >>= run . parseArguments) `catch` \(e :: IOException) -> do
    -- Whoever read our stdout has had enough; that is no news.
    let ours = ioe_handle e == Just stdout
    unless (ours && ioe_type e == ResourceVanished) $
      if ours
        then complain ("cannot write to stdout: " <> Text.pack (ioe_description e)) "see that it is open and has room"
        else complain (Text.pack (displayException e)) ""
    pure (ExitFailure 1)
  exitWith code

-- | The first signal unwinds, so that what was started is ended; later ones do not disturb that.
unwindOnSignals :: IO ()
unwindOnSignals = do
  thread <- myThreadId
  unsignalled <- newMVar ()
  let on signal exception = installHandler signal (Catch (tryTakeMVar unsignalled >>= mapM_ (\() -> throwTo thread exception))) Nothing
  for_ [sigTERM, sigHUP] (\signal -> on signal (toException (ExitFailure (128 + fromIntegral signal))))
  void (on sigINT (toException UserInterrupt))

run :: Parsed -> IO ExitCode
run = \case
  ShowText text -> ExitSuccess <$ putStr text
  Misused what how -> ExitFailure 2 <$ complain what how
  Ask options -> runAsk options
  Init options -> runInit options

-- | What there is to choose from is data, what to do next is talk.
runInit :: InitOptions -> IO ExitCode
runInit options =
  initialise options >>= \case
    Left (Usage what how) -> ExitFailure 2 <$ complain what how
    Left (Environment what how) -> ExitFailure 1 <$ complain what how
    Right outcome@(Listed _) -> ExitSuccess <$ Text.putStr (renderOutcome outcome)
    Right outcome@(Made _ _) -> ExitSuccess <$ Text.hPutStr stderr (renderOutcome outcome)

runAsk :: AskOptions -> IO ExitCode
runAsk options = do
  trace <- newTraceId
  tell <- teller options trace
  makePlan options >>= \case
    Left (Usage what how) -> ExitFailure 2 <$ complain what how
    Left (Environment what how) -> failed tell what how
    Right plan ->
      makeRuntimeDirectory >>= \case
        Left (Usage what how) -> failed tell what how
        Left (Environment what how) -> failed tell what how
        Right directory -> do
          deadline <- deadlineIn (1000000 * askTimeoutSeconds options)
          ending <- withHost directory trace deadline tell $ \host ->
            ask (Asking host plan budget (askTimeoutSeconds options) tell) (Text.pack (askQuestion options))
          pure $ case ending of
            Answered _ _ -> ExitSuccess
            Failed _ -> ExitFailure 1
  where
    budget = defaultBudget {budgetRounds = askMaxRounds options}
    failed tell what how = ExitFailure 1 <$ tell (Ended (Failed (World what how)))

-- | Shows notices, one at a time whatever thread they come from.
teller :: AskOptions -> TraceId -> IO (Notice -> IO ())
teller options trace = do
  lock <- newMVar ()
  style <- chooseStyle
  pure $ \notice -> unless (hidden options notice) (exclusively lock (tell style notice))
  where
    tell style notice
      | askJson options = do
        Lazy.putStr (renderJson trace notice <> "\n") >> hFlush stdout
        case notice of
          Ended (Failed failure) -> for_ [renderPerson Plain (Ended (Failed failure))] (mapM_ put)
          _ -> pure ()
      | otherwise = mapM_ put (renderPerson style notice)
    put = \case
      ToStdout line -> Text.putStrLn line
      ToStderr line -> Text.hPutStrLn stderr line

-- | What is not told unless more is asked for. Of a tool's call a program is told all.
hidden :: AskOptions -> Notice -> Bool
hidden options = \case
  ServerSaid _ _ -> not (askVerbose options)
  Progressed _ _ -> not (askVerbose options || askJson options)
  Logged _ _ -> not (askVerbose options || askJson options)
  _ -> False

exclusively :: MVar () -> IO a -> IO a
exclusively lock act = withMVar lock (const act)

-- | Colours for a person at a terminal who has not declined them.
chooseStyle :: IO Style
chooseStyle = do
  terminal <- hIsTerminalDevice stdout
  declined <- lookupEnv "NO_COLOR"
  pure (if terminal && maybe True null declined then Coloured else Plain)

complain :: Text -> Text -> IO ()
complain what how = do
  Text.hPutStrLn stderr ("callspan: " <> what)
  unless (Text.null how) (Text.hPutStrLn stderr ("  to fix it: " <> how))
