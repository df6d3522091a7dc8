-- | Notices as events: one JSON object a line, each with its name and the question's trace id. The shapes are in
-- README.md.
module Callspan.Render.Json
  ( renderJson,
  )
where

import Callspan.Agent.Types
import Callspan.Ipc.Fields (protoToJSON)
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Trace
import Data.Aeson (Series, pairs, (.=))
import Data.Aeson qualified as Aeson
import Data.Aeson.Encoding (encodingToLazyByteString, pair, unsafeToEncoding)
import Data.ByteString.Builder (byteString)
import Data.ByteString.Lazy qualified as Lazy
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)

renderJson :: TraceId -> Notice -> Lazy.ByteString
renderJson trace notice = encodingToLazyByteString (pairs ("event" .= name <> "trace_id" .= traceIdText trace <> content))
  where
    (name, content) = event notice

event :: Notice -> (Text, Series)
event = \case
  Question text tools -> ("question", "text" .= text <> "tools" .= tools)
  Progress (StepCall n call) ->
    ("call", "round" .= n <> identified call <> jsonText "arguments" (callArguments call))
  Progress (StepResult call outcome) -> ("result", identified call <> outcomeFields outcome)
  Progressed call told -> ("progress", identified call <> "fraction" .= progressFraction told <> "message" .= progressMessage told)
  Logged call told ->
    ("tool_log", identified call <> "level" .= logLevel told <> "logger" .= logLogger told <> "message" .= logMessage told)
  Progress (StepUnreadable why) -> ("unreadable_call", "message" .= why)
  Progress (StepWarning why) -> ("warning", "message" .= why)
  Ended (Answered text cut) -> ("answer", "text" .= text <> "truncated" .= cut)
  Ended (Failed failure) ->
    let (what, hint) = describeFailure failure in ("error", "message" .= what <> "hint" .= hint)
  Warning why -> ("warning", "message" .= why)
  Restarting server reason attempt -> ("restart", "server" .= server <> "reason" .= reason <> "attempt" .= attempt)
  ServerSaid server line -> ("log", "server" .= server <> "message" .= line)
  where
    identified call = "id" .= callId call <> "name" .= callName call

outcomeFields :: CallOutcome -> Series
outcomeFields outcome = case outcome of
  Ran r ->
    "outcome" .= resultOutcome r
      <> (if outcomeIsError outcome then "error" .= ranError r else jsonText "result" (resultJson r))
      <> "stdout" .= resultStdout r
      <> "stderr" .= resultStderr r
      <> "truncated" .= resultTruncated r
      <> "artefacts" .= map artefactObject (resultArtefacts r)
      <> "start" .= resultStart r
      <> "queue_us" .= resultQueueUs r
      <> "wall_us" .= resultWallUs r
      <> "cpu_us" .= resultCpuUs r
      <> "max_rss_kib" .= resultMaxRssKib r
      <> "isolation" .= fmap protoToJSON (resultIsolation r)
  Refused e -> "outcome" .= ("refused" :: Text) <> "error" .= errorObject (codeName (errorCode e)) (errorMessage e) ""
  OutcomeUnknown why -> "outcome" .= ("unknown" :: Text) <> "error" .= errorObject "outcome_unknown" why ""
  where
    ranError r = case resultError r of
      Just e -> errorObject (toolErrorType e) (toolErrorMessage e) (toolErrorTraceback e)
      Nothing -> errorObject (resultOutcome r) (outcomeContent outcome) ""

artefactObject :: Artefact -> Aeson.Value
artefactObject a =
  Aeson.object
    [ "name" Aeson..= artefactName a,
      "media_type" Aeson..= artefactMediaType a,
      "bytes" Aeson..= artefactBytes a,
      "data" Aeson..= artefactData a
    ]

errorObject :: Text -> Text -> Text -> Aeson.Value
errorObject kind message traceback = Aeson.object ["type" Aeson..= kind, "message" Aeson..= message, "traceback" Aeson..= traceback]

-- | JSON text as it is, so that its key order and integers survive; what is not JSON, as a string. White space between
-- tokens may hold line feeds, which JSON itself does not have within strings.
jsonText :: Aeson.Key -> Text -> Series
jsonText key text = case Aeson.decodeStrict' (encodeUtf8 text) :: Maybe Aeson.Value of
  Just _ -> pair key (unsafeToEncoding (byteString (encodeUtf8 (Text.map (\c -> if c == '\n' || c == '\r' then ' ' else c) text))))
  Nothing -> key .= text
