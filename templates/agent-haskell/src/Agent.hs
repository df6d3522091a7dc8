-- | The loop of an agent: ask the model, have the calls run that it makes, tell it their results, until it answers.
-- It is all here to be changed: what is asked, which calls are let through, when it is enough.
module Agent
  ( AgentError (..),
    ask,
  )
where

import Control.Exception (Exception (..), throwIO, try)
import Data.Aeson
import Data.Aeson.Text (encodeToLazyText)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Lazy qualified as Lazy
import Wire

data AgentError
  = -- | The model's call could not be read.
    Unreadable Text
  | -- | It was asked this often and still makes calls.
    TooManyRounds Int
  deriving (Show, Eq)

instance Exception AgentError where
  displayException = \case
    Unreadable why -> "the model's call could not be read: " <> Text.unpack why
    TooManyRounds n -> "no answer after " <> show n <> " rounds"

-- | Arguments are JSON text, as the model wrote them and the executor reads them.
data Call = Call {callId :: Text, callName :: Text, callArguments :: Text}

instance FromJSON Call where
  parseJSON = withObject "call" $ \o -> Call <$> o .:? "id" .!= "" <*> o .: "name" <*> o .:? "arguments" .!= "{}"

instance ToJSON Call where
  toJSON call = object ["id" .= callId call, "name" .= callName call, "arguments" .= callArguments call]

data Done = Done {doneContent :: Text, doneCalls :: [Call], doneReason :: Text, doneError :: Maybe Value}

instance FromJSON Done where
  parseJSON = withObject "done" $ \o ->
    Done <$> o .:? "content" .!= "" <*> o .:? "tool_calls" .!= [] <*> o .: "finish_reason" <*> o .:? "error"

-- | What the tool gave, or why not.
newtype Ran = Ran (Either Text Text)

instance FromJSON Ran where
  parseJSON = withObject "tool_result" $ \o -> do
    outcome <- o .: "outcome"
    if outcome == ("ok" :: Text)
      then Ran . Right <$> o .:? "result" .!= "null"
      else o .:? "error" .!= mempty >>= \e -> Ran . Left <$> e .:? "message" .!= outcome

-- | Answers the question by the model's and the executor's server; each step is shown as it is taken.
ask :: Wire -> Wire -> (Text -> IO ()) -> Text -> IO Text
ask inference executor tell question = do
  -- As the executor describes its tools, so the model is told of them.
  tools :: [Value] <- request executor ("list_tools" .= object []) (\o -> o .: "tools" >>= \t -> t .:? "tools" .!= [])
  let turn n messages
        | n > mostRounds = throwIO (TooManyRounds mostRounds)
        | otherwise = do
          let chat = object ["messages" .= messages]
          -- A tool whose schema cannot be guaranteed in full is offered all the same; its calls are checked.
          done <- request inference ("generate" .= object ["chat" .= chat, "tools" .= tools, "lenient" .= True]) (.: "done")
          case doneReason done of
            "invalid_call" -> throwIO (Unreadable (maybe "" toText (doneError done)))
            "tool_calls" -> do
              let calls = map (numbered n) (doneCalls done)
                  said = object ["role" .= ("assistant" :: Text), "content" .= doneContent done, "tool_calls" .= calls]
              results <- traverse run calls
              turn (n + 1) (messages <> [said] <> results)
            _ -> pure (doneContent done)
  turn 1 [object ["role" .= ("user" :: Text), "content" .= question]]
  where
    -- The model's ids begin anew in each round, and results are matched by them.
    numbered :: Int -> Call -> Call
    numbered n call = call {callId = Text.pack (show n) <> "-" <> callId call}
    run call = do
      tell (callName call <> " " <> callArguments call)
      ran <- try (request executor ("call_tool" .= object ["name" .= callName call, "arguments" .= callArguments call]) (.: "tool_result"))
      content <- case ran of
        Right (Ran (Right result)) -> pure result
        Right (Ran (Left why)) -> pure (failed why)
        -- Such as a tool that is not there; when the server is lost there is no going on.
        Left (Refused _ why _) -> pure (failed why)
        Left other -> throwIO other
      tell ("= " <> content)
      pure (object ["role" .= ("tool" :: Text), "content" .= content, "tool_call_id" .= callId call, "name" .= callName call])
    failed why = toText (object ["error" .= why])

toText :: Value -> Text
toText = Lazy.toStrict . encodeToLazyText

mostRounds :: Int
mostRounds = 4
