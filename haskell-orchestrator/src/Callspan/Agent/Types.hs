-- | What goes into and comes out of the agent: the words that the pure core and the world around it share.
module Callspan.Agent.Types
  ( Event (..),
    Action (..),
    Step (..),
    CallOutcome (..),
    Ending (..),
    Failure (..),
    outcomeContent,
    outcomeIsError,
    describeFailure,
  )
where

import Callspan.Ipc.Message
import Data.Aeson qualified as Aeson
import Data.Aeson.Types (Pair)
import Data.ByteString.Lazy qualified as Lazy
import Data.Either (isRight)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8With, encodeUtf8)
import Data.Text.Encoding.Error (lenientDecode)

-- | What happened in the world.
data Event
  = -- | A person asked.
    Asked Text
  | -- | The model answered.
    Generated Done
  | -- | The call with this id came to this end.
    CallEnded Text CallOutcome
  | -- | The conversation is longer than the model can read; the failure that this is if nothing can be left out.
    TooLong Failure
  | -- | The world cannot go on: a server is lost for good, the time is over.
    GaveUp Failure
  deriving stock (Show, Eq)

-- | What the agent wants done. Of one 'Callspan.Agent.step' the last action is the one to wait for.
data Action
  = AskModel [Message]
  | RunTool ToolCall
  | Show Step
  | Finish Ending
  deriving stock (Show, Eq)

-- | What a person wants to see on the way.
data Step
  = -- | In this round the model makes this call.
    StepCall Int ToolCall
  | StepResult ToolCall CallOutcome
  | -- | The model wrote a call that could not be read, and is told so.
    StepUnreadable Text
  | StepWarning Text
  deriving stock (Show, Eq)

-- | What became of a call.
data CallOutcome
  = -- | The executor ran it, well or not.
    Ran ToolResult
  | -- | It was not run: refused here or by the executor.
    Refused Error
  | -- | The executor was lost while it ran: it may have had its effect or not, so it is not repeated.
    OutcomeUnknown Text
  deriving stock (Show, Eq)

data Ending
  = -- | The answer; True: it was cut at the token limit.
    Answered Text Bool
  | Failed Failure
  deriving stock (Show, Eq)

-- | Why there is no answer.
data Failure
  = -- | The model was asked this often and still makes calls.
    TooManyRounds Int
  | -- | The same call, more often than allowed.
    Repeating Int ToolCall
  | -- | The model's call could not be read, again.
    Unreadable Text
  | -- | The model ended its turn without a word.
    EmptyAnswer
  | -- | The text was cut before a word of the answer.
    OutOfTokens
  | -- | From outside the agent: what went wrong, and what to do about it.
    World Text Text
  deriving stock (Show, Eq)

-- | What was wrong, and what to do about it.
describeFailure :: Failure -> (Text, Text)
describeFailure = \case
  TooManyRounds n ->
    ("no answer after asking the model " <> times n, "allow more with --max-rounds, or ask for less at once")
  Repeating n call ->
    ( "the model keeps making the same call, " <> times n <> ": " <> callName call <> " " <> callArguments call,
      "the tool's result did not help it; put the question differently"
    )
  Unreadable why -> ("the model's call cannot be read: " <> why, "put the question differently, or use a stronger model")
  EmptyAnswer -> ("the model gave an empty answer", "put the question differently, or use a stronger model")
  OutOfTokens -> ("the model's text was cut at its token limit before it had answered", "ask for less at once")
  World what hint -> (what, hint)
  where
    times 1 = "once"
    times n = Text.pack (show n) <> " times"

-- | Whether the model is given an error rather than a result.
outcomeIsError :: CallOutcome -> Bool
outcomeIsError = \case
  Ran result -> not (usable result)
  Refused _ -> True
  OutcomeUnknown _ -> True

-- | The content of the tool message that tells the model: the result as it came, or @{"error": …}@. Nothing
-- else: a tiny model repeats what it is told, and an error's type is for the person, who sees it anyway.
outcomeContent :: CallOutcome -> Text
outcomeContent = \case
  Ran result
    | usable result -> resultJson result
    | resultOutcome result == "ok" -> failed "the tool's result is not JSON"
    | Just e <- resultError result -> failed (if Text.null (toolErrorMessage e) then toolErrorType e else toolErrorMessage e)
    | otherwise -> failed ("the tool ended with " <> resultOutcome result)
  Refused e -> failed (errorMessage e)
  OutcomeUnknown why -> failed ("outcome unknown: " <> why)
  where
    failed :: Text -> Text
    failed what = json ["error" Aeson..= what]

usable :: ToolResult -> Bool
usable result = resultOutcome result == "ok" && isRight (parsed (resultJson result))
  where
    parsed :: Text -> Either String Aeson.Value
    parsed = Aeson.eitherDecodeStrict' . encodeUtf8

json :: [Pair] -> Text
json = decodeUtf8With lenientDecode . Lazy.toStrict . Aeson.encode . Aeson.object
