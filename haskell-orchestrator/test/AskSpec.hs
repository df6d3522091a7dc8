-- | A whole question over real sockets, with servers that say what the test wants.
module AskSpec (spec) where

import Callspan.Agent.Types
import Callspan.Ask
import Callspan.Budget
import Callspan.Config (Place (..), Plan (..))
import Callspan.Deadline
import Callspan.Ipc.Frame
import Callspan.Ipc.Lines
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Supervise
import Callspan.Trace
import Data.Foldable (for_)
import Data.IORef (modifyIORef', newIORef, readIORef)
import Data.Text (Text)
import FakeServer
import Network.Socket (Socket)
import System.Directory (getTemporaryDirectory)
import System.FilePath ((</>))
import System.Posix.Temp (mkdtemp)
import Test.Hspec

-- | Answers each request with these frames; one that is not expected, by hanging up.
scripted :: (Body -> [Body]) -> Socket -> LineReader -> IO ()
scripted answers connection reader =
  readFrame reader >>= \case
    Just frame | Just body <- frameBody frame, said@(_ : _) <- answers body -> do
      for_ said (answer connection frame)
      scripted answers connection reader
    _ -> pure ()

-- | The model calls the tool once, then repeats its result.
model :: Body -> [Body]
model = \case
  BodyGenerate generate -> case [messageContent m | Just chat <- [generateChat generate], m <- chatMessages chat, messageRole m == "tool"] of
    [] -> [BodyDone (done "" [ToolCall "" "slow" "{}"] "tool_calls")]
    results -> [BodyDone (done (mconcat results) [] "stop")]
  _ -> []
  where
    done content calls reason = Done content calls reason Nothing "" Nothing [] [] ""

spec :: Spec
spec =
  it "tells how far a tool has come and what it logs, on the way" $ do
    let executor = \case
          BodyListTools -> [BodyTools (Tools [Tool "slow" "" "{\"type\":\"object\"}"] [] [])]
          BodyCallTool _ ->
            [ BodyDelta (Delta "" [] "" "" [] (Just half) []),
              BodyDelta (Delta "" [] "" "" [] Nothing [entry, entry]),
              BodyToolResult (ToolResult "ok" "7" Nothing "" "" False 0 0 0 Nothing "" "" [file] "" 0 "")
            ]
          _ -> []
        half = ToolProgress (Just 0.5) "half"
        entry = LogRecord "INFO" "slow" "hello"
        file = Artefact "a.txt" "text/plain" "c2VjcmV0"
    (ending, told) <- asked model executor
    ending `shouldBe` Answered "7" False
    [(callName call, p) | Progressed call p <- told] `shouldBe` [("slow", half)]
    [(callName call, l) | Logged call l <- told] `shouldBe` [("slow", entry), ("slow", entry)]
    [resultArtefacts r | Progress (StepResult _ (Ran r)) <- told] `shouldBe` [[file]]

-- | What becomes of a question, and what was told.
asked :: (Body -> [Body]) -> (Body -> [Body]) -> IO (Ending, [Notice])
asked inference executor =
  withServer (scripted inference) $ \inferenceSocket -> withServer (scripted executor) $ \executorSocket -> do
    told <- newIORef []
    trace <- newTraceId
    deadline <- deadlineIn 20000000
    directory <- getTemporaryDirectory >>= \t -> mkdtemp (t </> "callspan-test-")
    let tell notice = modifyIORef' told (notice :)
        plan = Plan (Running inferenceSocket) (Running executorSocket) Nothing
    ending <- withHost directory trace deadline tell $ \host ->
      ask (Asking host plan defaultBudget 20 tell) question
    (,) ending . reverse <$> readIORef told
  where
    question :: Text
    question = "How far?"
