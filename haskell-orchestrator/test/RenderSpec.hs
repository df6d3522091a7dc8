-- | What is printed: nothing from outside reaches the terminal unescaped, and events are one JSON object a line.
module RenderSpec (spec) where

import Callspan.Agent.Types
import Callspan.Cli (hidden)
import Callspan.Config (AskOptions (..))
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Render.Json
import Callspan.Render.Person
import Callspan.Trace
import Data.Aeson (Value (..))
import Data.Aeson qualified as Aeson
import Data.Aeson.KeyMap qualified as KeyMap
import Data.ByteString.Lazy.Char8 qualified as Lazy
import Data.Char (isControl)
import Data.Text (Text)
import Data.Text qualified as Text
import Test.Hspec
import Test.Hspec.QuickCheck (prop)
import Test.QuickCheck

-- | Every notice, with the same text in each place where text comes from outside.
notices :: Text -> [Notice]
notices t =
  [ Question t [t],
    Progress (StepCall 1 call),
    Progress (StepResult call (Ran ran)),
    Progress (StepResult call (Ran ran {resultOutcome = "exception", resultError = Just (ToolError t t t)})),
    Progress (StepResult call (Refused (Error NotFound t t 0))),
    Progress (StepResult call (OutcomeUnknown t)),
    Progressed call (ToolProgress (Just 0.5) t),
    Logged call (LogRecord t t t),
    Progress (StepUnreadable t),
    Progress (StepWarning t),
    Ended (Answered t True),
    Ended (Failed (World t t)),
    Ended (Failed (Repeating 3 call)),
    Warning t,
    ServerSaid "server" t
  ]
  where
    call = ToolCall "call_1" t t
    ran = ToolResult "ok" t Nothing t t False 0 0 0 (Just (Isolation t [] [] [])) "" "" [Artefact t t t] t 0 t

spec :: Spec
spec = do
  prop "obeys no control character from outside" $
    forAll (Text.pack <$> listOf (frequency [(1, arbitrary), (1, elements "\ESC\a\b\r\x9b\x202e\n\t")])) $ \t ->
      conjoin
        [ counterexample (show line) (not (Text.any (\c -> c /= '\n' && (isControl c || c == '\x202e')) line))
          | notice <- notices t,
            line <- map textOf (renderPerson Plain notice)
        ]
  prop "writes each event as one line of JSON with its name and trace id" $ \(s :: String) -> ioProperty $ do
    trace <- newTraceId
    pure $
      conjoin
        [ counterexample (show line) $
            Lazy.notElem '\n' line .&&. case Aeson.decode line of
              Just (Object o) -> KeyMap.lookup "trace_id" o === Just (String (traceIdText trace)) .&&. KeyMap.member "event" o
              _ -> property False
          | notice <- notices (Text.pack s),
            let line = renderJson trace notice
        ]
  it "keeps arguments as the model wrote them" $ do
    trace <- newTraceId
    let line = renderJson trace (Progress (StepCall 1 (ToolCall "call_1" "now" "{\"z\":9007199254740993,\n\"a\":1}")))
    Lazy.unpack line `shouldContain` "\"arguments\":{\"z\":9007199254740993, \"a\":1}"
  it "tells of an artefact what it is, and the model nothing of its content" $ do
    let outcome = Ran (resultWith [Artefact "plot.png" "image/png" (Text.replicate 4115 "AAAA"), Artefact "a" "text/plain" "QQ=="])
    lines' (Progress (StepResult (ToolCall "call_1" "plot" "{}") outcome))
      `shouldBe` ["result    7   0.0 ms", "artefact  plot.png  image/png  12,345 bytes", "artefact  a  text/plain  1 bytes"]
    outcomeContent outcome `shouldBe` "7"
  it "tells how far a tool has come, if that is known, and what it logs" $ do
    let call = ToolCall "call_1" "slow" "{}"
    lines' (Progressed call (ToolProgress (Just 0.4) "row 2\n")) `shouldBe` ["progress  40 % row 2\\n"]
    lines' (Progressed call (ToolProgress Nothing "row 2")) `shouldBe` ["progress  row 2"]
    lines' (Logged call (LogRecord "WARNING" "units" "no unit")) `shouldBe` ["log       WARNING units: no unit"]
  it "tells people of progress and logs only if they ask, and programs always" $ do
    let call = ToolCall "call_1" "slow" "{}"
        onTheWay = [Progressed call (ToolProgress Nothing "x"), Logged call (LogRecord "INFO" "a" "b")]
        hiding json more = map (hidden (AskOptions "q" Nothing Nothing json 4 120 Nothing Nothing False more)) onTheWay
    hiding False False `shouldBe` [True, True]
    [hiding json more | (json, more) <- [(True, False), (False, True)]] `shouldBe` replicate 2 [False, False]
  it "colours only where colours are wanted" $
    [Text.any (== '\ESC') (textOf l) | style <- [Plain, Coloured], l <- renderPerson style (Ended (Answered "x" False))]
      `shouldBe` [False, True]
  where
    lines' = map textOf . renderPerson Plain
    resultWith files = ToolResult "ok" "7" Nothing "" "" False 0 0 0 Nothing "" "" files "" 0 ""
    textOf = \case ToStdout t -> t; ToStderr t -> t
