-- | One question, start to end: performs what the agent decides, with real servers, and tells the events back to it.
module Callspan.Ask
  ( Asking (..),
    ask,
  )
where

import Callspan.Agent
import Callspan.Agent.Types
import Callspan.Budget
import Callspan.Config (Place (..), Plan (..))
import Callspan.Ipc.Client (CallFailure (..))
import Callspan.Ipc.Frame
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Supervise
import Callspan.Supervise.Child (Program (..))
import Control.Exception (handle)
import Data.Foldable (for_)
import Data.Text (Text)
import Data.Text qualified as Text
import System.FilePath ((</>))

data Asking = Asking
  { askingHost :: Host,
    askingPlan :: Plan,
    askingBudget :: Budget,
    askingTimeoutSeconds :: Int,
    askingTell :: Notice -> IO ()
  }

-- | Both servers, as long as the question lasts.
data Servers = Servers {inferenceServer :: Server, executorServer :: Server}

ask :: Asking -> Text -> IO Ending
ask asking question = handle (\(ServerFailure what hint) -> conclude asking (Failed (World what hint))) $ do
  servers <- Servers <$> server "rust-inference" planInference <*> server "python-executor" planExecutor
  launch host (inferenceServer servers)
  launch host (executorServer servers)
  listed <- request host (executorServer servers) Repeatable nothingBefore BodyListTools
  case listed of
    Right (BodyTools tools) -> do
      for_ (toolsProblems tools) (\p -> tell (Warning (problemFile p <> ": " <> problemMessage p)))
      tell (Question question (map toolName (toolsTools tools)))
      drive asking servers (toolsTools tools) (start (askingBudget asking) (toolsTools tools)) (Asked question)
    Right other -> conclude asking (Failed (unexpected "python-executor" other))
    Left failure -> conclude asking (Failed (worldFailure asking "python-executor" failure))
  where
    host = askingHost asking
    tell = askingTell asking
    server name place = case place (askingPlan asking) of
      Running socket -> givenServer name socket (tap name socket)
      ToStart path arguments ->
        let socket = hostDirectory host </> Text.unpack name <> ".sock"
         in ownedServer (Program name path (arguments <> ["--socket", socket]) socket False) (tap name socket)
    tap name upstream = case planTap (askingPlan asking) of
      Nothing -> []
      Just ipc ->
        let socket = hostDirectory host </> Text.unpack name <> ".tap"
         in [Program ("the tap of " <> name) ipc ["tap", socket, upstream] socket True]

conclude :: Asking -> Ending -> IO Ending
conclude asking ending = ending <$ askingTell asking (Ended ending)

-- | The agent's loop: every list of actions ends with the one to wait for.
drive :: Asking -> Servers -> [Tool] -> State -> Event -> IO Ending
drive asking servers tools st event = go (step st event)
  where
    go (st', actions) = case actions of
      Show shown : more -> askingTell asking (Progress shown) >> go (st', more)
      AskModel messages : _ -> askModel asking servers tools messages >>= drive asking servers tools st'
      RunTool call : _ -> runTool asking servers call >>= drive asking servers tools st'
      Finish ending : _ -> conclude asking ending
      [] -> conclude asking (Failed (World "the agent has nothing to do, which is a mistake in callspan" "please report it"))

askModel :: Asking -> Servers -> [Tool] -> [Message] -> IO Event
askModel asking servers tools messages = do
  answer <- request (askingHost asking) (inferenceServer servers) Repeatable nothingBefore (BodyGenerate generate)
  pure $ case answer of
    Right (BodyDone done) -> Generated done
    Right other -> GaveUp (unexpected "rust-inference" other)
    Left failure -> unanswered failure (worldFailure asking "rust-inference" failure)
  where
    unanswered = \case
      Rejected e | errorCode e == FailedPrecondition -> TooLong
      _ -> GaveUp
    -- Lenient: a tool whose schema cannot be guaranteed in full is still better called, and its calls checked.
    generate = Generate (Just (Chat messages)) Nothing tools "" 0 False Nothing [] "" Nothing 0 Nothing "" True Nothing [] ""

runTool :: Asking -> Servers -> ToolCall -> IO Event
runTool asking servers call = do
  answer <- request (askingHost asking) (executorServer servers) Once onTheWay (BodyCallTool callTool)
  pure $ case answer of
    Right (BodyToolResult result) -> ended (Ran result)
    Right other -> GaveUp (unexpected "python-executor" other)
    Left (Rejected e) -> ended (Refused e)
    Left (Lost why) -> ended (OutcomeUnknown why)
    Left TimedOut -> GaveUp (worldFailure asking "python-executor" TimedOut)
  where
    onTheWay delta = do
      for_ (deltaProgress delta) (askingTell asking . Progressed call)
      for_ (deltaLogs delta) (askingTell asking . Logged call)
    callTool = CallTool (callName call) (callArguments call) (callId call)
    ended = CallEnded (callId call)

-- | Of a request whose answer comes in one piece.
nothingBefore :: Delta -> IO ()
nothingBefore _ = pure ()

worldFailure :: Asking -> Text -> CallFailure -> Failure
worldFailure asking server = \case
  -- The limit that we sent along, seen by the server first.
  Rejected e | errorCode e == DeadlineExceeded -> worldFailure asking server TimedOut
  Rejected e -> World (server <> ": " <> codeName (errorCode e) <> ": " <> errorMessage e) (errorHint e)
  Lost why -> World why "see what it says with --verbose"
  TimedOut ->
    World
      (server <> " did not answer within the question's " <> Text.pack (show (askingTimeoutSeconds asking)) <> " s")
      "allow more with --timeout SECONDS"

unexpected :: Text -> Body -> Failure
unexpected server body = World (server <> " answered with " <> bodyName body <> ", which is no answer to the request") "check that the socket is the right server's"
