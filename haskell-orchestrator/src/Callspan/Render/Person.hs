-- | Notices for a person: each step is a labelled line.
module Callspan.Render.Person
  ( Style (..),
    Line (..),
    renderPerson,
  )
where

import Callspan.Agent.Types
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Render.Text
import Data.Text (Text)
import Data.Text qualified as Text
import Text.Printf (printf)

-- | Whether there may be colours.
data Style = Plain | Coloured
  deriving stock (Show, Eq)

-- | Data or talk: which of the two streams it belongs to.
data Line = ToStdout Text | ToStderr Text
  deriving stock (Show, Eq)

renderPerson :: Style -> Notice -> [Line]
renderPerson style = \case
  Question text _ -> [labelled cyan "sentence" (manyLines gap text)]
  Progress (StepCall _ call) -> [labelled yellow "call" (oneLine (callName call) <> " " <> shorten limit (oneLine (callArguments call)))]
  Progress (StepResult _ outcome) -> result outcome
  Progressed _ far -> [labelled dim "progress" (shorten limit (oneLine (progressed far)))]
  Logged _ entry ->
    [labelled dim "log" (shorten limit (oneLine (logLevel entry <> " " <> logLogger entry <> ": " <> logMessage entry)))]
  Progress (StepUnreadable why) -> talk yellow ("the model's call cannot be read, asking again: " <> oneLine why)
  Progress (StepWarning why) -> talk yellow (oneLine why)
  Ended (Answered text cut) ->
    labelled green "answer" (manyLines gap text) : concat [talk yellow "the answer was cut at the model's token limit" | cut]
  Ended (Failed failure) ->
    let (what, hint) = describeFailure failure
     in talk red (manyLines "  " what) <> [ToStderr ("  to fix it: " <> oneLine hint) | not (Text.null hint)]
  Warning why -> talk yellow (manyLines "  " why)
  Restarting server reason attempt ->
    talk yellow (server <> " " <> reason <> "; starting it again (" <> Text.pack (show attempt) <> ")")
  ServerSaid server line -> [ToStderr (paint dim (server <> ": " <> oneLine line))]
  where
    labelled colour label text = ToStdout (paint colour (Text.justifyLeft 10 ' ' label) <> text)
    talk colour text = [ToStderr (paint colour "callspan: " <> text)]
    result outcome =
      labelled (if outcomeIsError outcome then red else yellow) "result" (told outcome <> paint dim (cost outcome)) : output outcome
    output = \case
      Ran r ->
        map (labelled yellow "artefact" . artefact) (resultArtefacts r)
          <> [labelled dim stream (manyLines gap (shorten limit t)) | (stream, t) <- [("stdout", resultStdout r), ("stderr", resultStderr r)], not (Text.null t)]
          <> [labelled dim "traceback" (manyLines gap (toolErrorTraceback e)) | Just e <- [resultError r], not (Text.null (toolErrorTraceback e))]
      _ -> []
    paint colour text = case style of
      Plain -> text
      Coloured -> "\ESC[" <> colour <> "m" <> text <> "\ESC[0m"
    (cyan, yellow, green, red, dim) = ("36", "33", "1;32", "31", "2")
    gap = Text.replicate 10 " "

-- | Of a file that a tool returned, all but its content.
artefact :: Artefact -> Text
artefact a = Text.intercalate "  " [oneLine (artefactName a), oneLine (artefactMediaType a), grouped (artefactBytes a) <> " bytes"]

-- | A whole number with a comma before each three digits.
grouped :: Int -> Text
grouped = Text.intercalate "," . reverse . map Text.reverse . Text.chunksOf 3 . Text.reverse . Text.pack . show

progressed :: ToolProgress -> Text
progressed far = Text.unwords (maybe [] percent (progressFraction far) <> [progressMessage far | not (Text.null (progressMessage far))])
  where
    percent f = [Text.pack (printf "%.0f %%" (100 * f))]

-- | The result as the model is told it, or the error in words.
told :: CallOutcome -> Text
told outcome = case outcome of
  Ran r | not (outcomeIsError outcome) -> shorten limit (oneLine (resultJson r))
  Ran r | Just e <- resultError r -> shorten limit (oneLine (toolErrorType e <> ": " <> toolErrorMessage e))
  Refused e -> oneLine (codeName (errorCode e) <> ": " <> errorMessage e)
  OutcomeUnknown why -> oneLine ("outcome unknown: " <> why)
  Ran _ -> oneLine (outcomeContent outcome)

cost :: CallOutcome -> Text
cost = \case
  Ran r ->
    Text.pack (printf "   %.1f ms" (fromIntegral (resultWallUs r) / 1000 :: Double))
      <> maybe "" (\i -> ", isolation " <> oneLine (isolationLevel i)) (resultIsolation r)
  _ -> ""

-- | Of a text that is only looked at.
limit :: Int
limit = 2000
