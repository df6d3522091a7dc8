-- | The agent: what to do next, as a pure state machine. It does no I/O and trusts nothing that comes out of the model:
-- tools that are not listed are not run, every call gets exactly one result, and every question comes to an end within
-- its budget. The world (Callspan.Ask) performs the actions and reports the events.
module Callspan.Agent
  ( State,
    start,
    step,
  )
where

import Callspan.Agent.Types
import Callspan.Budget
import Callspan.Ipc.Message
import Data.Aeson qualified as Aeson
import Data.List (sortOn)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Maybe (listToMaybe)
import Data.Ord (Down (..))
import Data.Set (Set)
import Data.Set qualified as Set
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)

data State = State
  { stateBudget :: Budget,
    stateTools :: Set Text,
    -- | The conversation, newest message first.
    stateMessages :: [Message],
    stateRound :: Int,
    stateCalls :: Int,
    stateSeen :: Map (Text, Either Text Aeson.Value) Int,
    stateUnreadable :: Int,
    statePhase :: Phase
  }

data Phase
  = Idle
  | Thinking
  | -- | This call runs, those wait.
    Calling ToolCall [ToolCall]
  | Over

-- | Before the question. The tools are those that may be called.
start :: Budget -> [Tool] -> State
start budget tools =
  State
    { stateBudget = budget,
      stateTools = Set.fromList (map toolName tools),
      stateMessages = [],
      stateRound = 0,
      stateCalls = 0,
      stateSeen = Map.empty,
      stateUnreadable = 0,
      statePhase = Idle
    }

-- | What follows from an event. One that does not belong to the phase changes nothing.
step :: State -> Event -> (State, [Action])
step st event = case (statePhase st, event) of
  (Over, _) -> (st, [])
  (_, GaveUp failure) -> finish st (Failed failure)
  (Idle, Asked question) -> askModel (say (chatMessage "user" question) st)
  (Thinking, Generated done) -> withWarnings done (generated st done)
  (Thinking, TooLong failure) -> shortened st failure
  (Calling call waiting, CallEnded ident outcome)
    | ident == callId call -> prepend [Show (StepResult call outcome)] (nextCall (answered call outcome st) waiting)
  _ -> (st, [])

generated :: State -> Done -> (State, [Action])
generated st done
  | doneFinishReason done == "invalid_call" = unreadable st (maybe "no reason given" errorMessage (doneError done))
  | not (null (doneToolCalls done)) = acceptCalls st done
  | Text.null (Text.strip (doneContent done)) = finish st (Failed (if cut then OutOfTokens else EmptyAnswer))
  | otherwise = finish st (Answered (doneContent done) cut)
  where
    cut = doneFinishReason done == "length"

-- | The calls of one answer. In the last round none is run: there would be no asking about their results.
acceptCalls :: State -> Done -> (State, [Action])
acceptCalls st done
  | stateRound st >= budgetRounds (stateBudget st) = finish st (Failed (TooManyRounds (stateRound st)))
  | (n, call) : _ <- tooOften = finish st (Failed (Repeating n call))
  | otherwise = nextCall (say assistant st {stateSeen = seen}) calls
  where
    calls = zipWith normalise [stateCalls st + 1 ..] (doneToolCalls done)
    assistant = (chatMessage "assistant" (doneContent done)) {messageToolCalls = calls}
    seen = Map.unionWith (+) (stateSeen st) (Map.fromListWith (+) [(sameness call, 1) | call <- calls])
    tooOften =
      [ (n, call)
        | call <- calls,
          Just n <- [Map.lookup (sameness call) seen],
          n > budgetSameCall (stateBudget st)
      ]

-- | Our own ids, because results are matched by them and the model's server may repeat its own from round to round.
normalise :: Int -> ToolCall -> ToolCall
normalise n call =
  call
    { callId = "call_" <> Text.pack (show n),
      callArguments = if Text.null (Text.strip (callArguments call)) then "{}" else callArguments call
    }

-- | Two calls are the same if their arguments mean the same, however they are spelt.
sameness :: ToolCall -> (Text, Either Text Aeson.Value)
sameness call = (callName call, maybe (Left (callArguments call)) Right (parseArguments call))

parseArguments :: ToolCall -> Maybe Aeson.Value
parseArguments = Aeson.decodeStrict' . encodeUtf8 . callArguments

-- | Runs the first of the waiting calls that may be run; those before it are answered with their refusal.
nextCall :: State -> [ToolCall] -> (State, [Action])
nextCall st [] = askModel st
nextCall st (call : waiting) = prepend [Show (StepCall (stateRound st) call)] $ case refusal counted call of
  Just why ->
    prepend [Show (StepResult call (Refused why))] (nextCall (answered call (Refused why) counted) waiting)
  Nothing -> (counted {statePhase = Calling call waiting}, [RunTool call])
  where
    counted = st {stateCalls = stateCalls st + 1}

refusal :: State -> ToolCall -> Maybe Error
refusal st call
  | callName call `Set.notMember` stateTools st =
    Just (Error NotFound ("there is no tool " <> callName call <> known) "" 0)
  | stateCalls st > budgetCalls (stateBudget st) =
    Just (Error ResourceExhausted ("not run: more than " <> Text.pack (show limit) <> " calls for one question") "" 0)
  | otherwise = case parseArguments call of
    Just (Aeson.Object _) -> Nothing
    _ -> Just (Error InvalidArgument ("the arguments are not a JSON object: " <> Text.take 200 (callArguments call)) "" 0)
  where
    limit = budgetCalls (stateBudget st)
    known
      | Set.null (stateTools st) = "; there are none"
      | otherwise = "; there are: " <> Text.intercalate ", " (Set.toList (stateTools st))

answered :: ToolCall -> CallOutcome -> State -> State
answered call outcome =
  say (chatMessage "tool" (outcomeContent outcome)) {messageToolCallId = callId call, messageName = callName call}

-- | The model is told once or so; what it wrote is not repeated to it, because a text that looks like a call would be
-- taken for one.
unreadable :: State -> Text -> (State, [Action])
unreadable st why
  | stateUnreadable st >= budgetUnreadable (stateBudget st) || stateRound st >= budgetRounds (stateBudget st) =
    finish st (Failed (Unreadable why))
  | otherwise = prepend [Show (StepUnreadable why)] (askModel (say told (say turn counted)))
  where
    counted = st {stateUnreadable = stateUnreadable st + 1}
    turn = chatMessage "assistant" "(an unreadable call)"
    told = chatMessage "user" ("Your call could not be read: " <> why <> ". Answer again.")

-- | A tool may give more than the model can read: the longest result is left out, and the model told so.
shortened :: State -> Failure -> (State, [Action])
shortened st failure
  | Just longest <- longestResult, Text.length (messageContent longest) > Text.length tooLong =
    prepend
      [Show (StepWarning ("the result of " <> messageName longest <> " is too long for the model, which is told so instead"))]
      (askModel st {stateMessages = map (leftOut longest) (stateMessages st)})
  | otherwise = finish st (Failed failure)
  where
    longestResult = listToMaybe (sortOn (Down . Text.length . messageContent) [m | m <- stateMessages st, messageRole m == "tool"])
    leftOut longest m
      | messageRole m == "tool", messageToolCallId m == messageToolCallId longest = m {messageContent = tooLong}
      | otherwise = m
    tooLong = "{\"error\":\"the result is too long\"}"

-- | Ask the model, if there is a round left.
askModel :: State -> (State, [Action])
askModel st
  | stateRound st >= budgetRounds (stateBudget st) = finish st (Failed (TooManyRounds (stateRound st)))
  | otherwise =
    ( st {stateRound = stateRound st + 1, statePhase = Thinking},
      [AskModel (reverse (stateMessages st))]
    )

finish :: State -> Ending -> (State, [Action])
finish st ending = (st {statePhase = Over}, [Finish ending])

say :: Message -> State -> State
say m st = st {stateMessages = m : stateMessages st}

chatMessage :: Text -> Text -> Message
chatMessage role content = Message role content [] "" ""

prepend :: [Action] -> (State, [Action]) -> (State, [Action])
prepend actions (st, more) = (st, actions <> more)

withWarnings :: Done -> (State, [Action]) -> (State, [Action])
withWarnings done = prepend (map (Show . StepWarning) (doneWarnings done))
