-- | What is said with rust-inference: a chat with tools goes in, text or calls come out.
module Callspan.Ipc.Message.Model
  ( Generate (..),
    ResponseFormat (..),
    Sampling (..),
    Chat (..),
    Message (..),
    ToolCall (..),
    Tool (..),
    Delta (..),
    ToolCallDelta (..),
    ToolProgress (..),
    LogRecord (..),
    Done (..),
    TokenLogprob (..),
    TopLogprob (..),
    Usage (..),
  )
where

import Callspan.Ipc.Fields
import Callspan.Ipc.Message.Control (Error)
import Data.Text (Text)
import Data.Word (Word32, Word64)

-- | Continue a chat or a prompt.
data Generate = Generate
  { -- | Either a chat …
    generateChat :: Maybe Chat,
    -- | … or a prompt in the model's own format.
    generatePrompt :: Maybe Text,
    generateTools :: [Tool],
    generateModel :: Text,
    generateMaxTokens :: Word32,
    generateStream :: Bool,
    generateSampling :: Maybe Sampling,
    generateStop :: [Text],
    -- | auto (also empty) | required | none | function:NAME
    generateToolChoice :: Text,
    generateParallelToolCalls :: Maybe Bool,
    generateMaxCalls :: Word32,
    generateResponseFormat :: Maybe ResponseFormat,
    -- | sorted (also empty) | declared | any
    generateArgumentOrder :: Text,
    generateLenient :: Bool,
    generateLogprobs :: Maybe Word32,
    generateWithout :: [Text],
    -- | One of the server's adapters; empty: none.
    generateAdapter :: Text
  }
  deriving stock (Show, Eq)

instance Proto Generate where
  schema =
    Schema "Generate" $
      Generate
        <$> field (optional message) "chat" generateChat
        <*> field (optional text) "prompt" generatePrompt
        <*> field (repeated message) "tools" generateTools
        <*> field text "model" generateModel
        <*> field word32 "max_tokens" generateMaxTokens
        <*> field bool "stream" generateStream
        <*> field (optional message) "sampling" generateSampling
        <*> field (repeated text) "stop" generateStop
        <*> field text "tool_choice" generateToolChoice
        <*> field (optional bool) "parallel_tool_calls" generateParallelToolCalls
        <*> field word32 "max_calls" generateMaxCalls
        <*> field (optional message) "response_format" generateResponseFormat
        <*> field text "argument_order" generateArgumentOrder
        <*> field bool "lenient" generateLenient
        <*> field (optional word32) "logprobs" generateLogprobs
        <*> field (repeated text) "without" generateWithout
        <*> field text "adapter" generateAdapter

-- | The form of an answer's text.
data ResponseFormat = ResponseFormat
  { -- | text (also empty) | json_object | json_schema
    formatType :: Text,
    -- | JSON text: a JSON Schema.
    formatSchema :: Text
  }
  deriving stock (Show, Eq)

instance Proto ResponseFormat where
  schema =
    Schema "ResponseFormat" $
      ResponseFormat
        <$> field text "type" formatType
        <*> field jsonText "schema" formatSchema

-- | How tokens are drawn; all zero: greedily.
data Sampling = Sampling
  { samplingTemperature :: Float,
    samplingTopK :: Word32,
    samplingTopP :: Float,
    samplingSeed :: Maybe Word64,
    samplingMinP :: Float
  }
  deriving stock (Show, Eq)

instance Proto Sampling where
  schema =
    Schema "Sampling" $
      Sampling
        <$> field float "temperature" samplingTemperature
        <*> field word32 "top_k" samplingTopK
        <*> field float "top_p" samplingTopP
        <*> field (optional word64) "seed" samplingSeed
        <*> field float "min_p" samplingMinP

-- | A conversation so far.
newtype Chat = Chat
  { chatMessages :: [Message]
  }
  deriving stock (Show, Eq)

instance Proto Chat where
  schema =
    Schema "Chat" $
      Chat
        <$> field (repeated message) "messages" chatMessages

-- | One message of a conversation.
data Message = Message
  { -- | system | developer | user | assistant | tool
    messageRole :: Text,
    messageContent :: Text,
    messageToolCalls :: [ToolCall],
    -- | With role tool: the call that this answers …
    messageToolCallId :: Text,
    -- | … and its tool.
    messageName :: Text
  }
  deriving stock (Show, Eq)

instance Proto Message where
  schema =
    Schema "Message" $
      Message
        <$> field text "role" messageRole
        <*> field text "content" messageContent
        <*> field (repeated message) "tool_calls" messageToolCalls
        <*> field text "tool_call_id" messageToolCallId
        <*> field text "name" messageName

-- | A call that the model makes.
data ToolCall = ToolCall
  { callId :: Text,
    callName :: Text,
    -- | JSON text: an object.
    callArguments :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolCall where
  schema =
    Schema "ToolCall" $
      ToolCall
        <$> field text "id" callId
        <*> field text "name" callName
        <*> field jsonText "arguments" callArguments

-- | A tool that the model may call.
data Tool = Tool
  { toolName :: Text,
    toolDescription :: Text,
    -- | JSON text: a JSON Schema of type object.
    toolParameters :: Text
  }
  deriving stock (Show, Eq)

instance Proto Tool where
  schema =
    Schema "Tool" $
      Tool
        <$> field text "name" toolName
        <*> field text "description" toolDescription
        <*> field jsonText "parameters" toolParameters

-- | A piece of an answer that is still being made.
data Delta = Delta
  { deltaText :: Text,
    deltaToolCalls :: [ToolCall],
    deltaStdout :: Text,
    deltaStderr :: Text,
    -- | Fragments of calls, in order.
    deltaCallDeltas :: [ToolCallDelta],
    -- | How far a tool has come; the latest.
    deltaProgress :: Maybe ToolProgress,
    -- | What a tool logged, in order.
    deltaLogs :: [LogRecord]
  }
  deriving stock (Show, Eq)

instance Proto Delta where
  schema =
    Schema "Delta" $
      Delta
        <$> field text "text" deltaText
        <*> field (repeated message) "tool_calls" deltaToolCalls
        <*> field text "stdout" deltaStdout
        <*> field text "stderr" deltaStderr
        <*> field (repeated message) "call_deltas" deltaCallDeltas
        <*> field (optional message) "progress" deltaProgress
        <*> field (repeated message) "logs" deltaLogs

-- | How far a tool has come.
data ToolProgress = ToolProgress
  { -- | From 0 to 1; Nothing: not known.
    progressFraction :: Maybe Double,
    progressMessage :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolProgress where
  schema =
    Schema "Progress" $
      ToolProgress
        <$> field (optional double) "fraction" progressFraction
        <*> field text "message" progressMessage

-- | What a tool logged.
data LogRecord = LogRecord
  { -- | DEBUG | INFO | WARNING | ERROR | CRITICAL
    logLevel :: Text,
    logLogger :: Text,
    logMessage :: Text
  }
  deriving stock (Show, Eq)

instance Proto LogRecord where
  schema =
    Schema "LogRecord" $
      LogRecord
        <$> field text "level" logLevel
        <*> field text "logger" logLogger
        <*> field text "message" logMessage

-- | A fragment of a call: those with one index, put together, are the call.
data ToolCallDelta = ToolCallDelta
  { fragmentIndex :: Word32,
    fragmentId :: Text,
    fragmentName :: Text,
    fragmentArguments :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolCallDelta where
  schema =
    Schema "ToolCallDelta" $
      ToolCallDelta
        <$> field word32 "index" fragmentIndex
        <*> field text "id" fragmentId
        <*> field text "name" fragmentName
        <*> field text "arguments" fragmentArguments

-- | What the model answered.
data Done = Done
  { doneContent :: Text,
    doneToolCalls :: [ToolCall],
    -- | stop | length | tool_calls | invalid_call
    doneFinishReason :: Text,
    doneUsage :: Maybe Usage,
    doneModel :: Text,
    -- | With invalid_call: what was wrong.
    doneError :: Maybe Error,
    doneWarnings :: [Text],
    doneLogprobs :: [TokenLogprob],
    -- | constrained, or checked.
    doneGuarantee :: Text
  }
  deriving stock (Show, Eq)

instance Proto Done where
  schema =
    Schema "Done" $
      Done
        <$> field text "content" doneContent
        <*> field (repeated message) "tool_calls" doneToolCalls
        <*> field text "finish_reason" doneFinishReason
        <*> field (optional message) "usage" doneUsage
        <*> field text "model" doneModel
        <*> field (optional message) "error" doneError
        <*> field (repeated text) "warnings" doneWarnings
        <*> field (repeated message) "logprobs" doneLogprobs
        <*> field text "guarantee" doneGuarantee

-- | How probable a token was that was written, and the most probable ones in its place.
data TokenLogprob = TokenLogprob
  { logprobId :: Word32,
    logprobToken :: Text,
    logprobLogprob :: Float,
    logprobTop :: [TopLogprob]
  }
  deriving stock (Show, Eq)

instance Proto TokenLogprob where
  schema =
    Schema "TokenLogprob" $
      TokenLogprob
        <$> field word32 "id" logprobId
        <*> field text "token" logprobToken
        <*> field float "logprob" logprobLogprob
        <*> field (repeated message) "top" logprobTop

-- | A token that was probable.
data TopLogprob = TopLogprob
  { topId :: Word32,
    topToken :: Text,
    topLogprob :: Float
  }
  deriving stock (Show, Eq)

instance Proto TopLogprob where
  schema =
    Schema "TopLogprob" $
      TopLogprob
        <$> field word32 "id" topId
        <*> field text "token" topToken
        <*> field float "logprob" topLogprob

-- | What it cost.
data Usage = Usage
  { usagePromptTokens :: Word32,
    usageCachedTokens :: Word32,
    usageCompletionTokens :: Word32,
    usageQueueUs :: Word32,
    usagePrefillUs :: Word32,
    usageDecodeUs :: Word32,
    usageForcedTokens :: Word32,
    usageConstrainedTokens :: Word32,
    usageFreeTokens :: Word32,
    usageSpeculatedTokens :: Word32,
    usageHeadRows :: Word64,
    usageConstraintUs :: Word32,
    usageForwardPasses :: Word32
  }
  deriving stock (Show, Eq)

instance Proto Usage where
  schema =
    Schema "Usage" $
      Usage
        <$> field word32 "prompt_tokens" usagePromptTokens
        <*> field word32 "cached_tokens" usageCachedTokens
        <*> field word32 "completion_tokens" usageCompletionTokens
        <*> field word32 "queue_us" usageQueueUs
        <*> field word32 "prefill_us" usagePrefillUs
        <*> field word32 "decode_us" usageDecodeUs
        <*> field word32 "forced_tokens" usageForcedTokens
        <*> field word32 "constrained_tokens" usageConstrainedTokens
        <*> field word32 "free_tokens" usageFreeTokens
        <*> field word32 "speculated_tokens" usageSpeculatedTokens
        <*> field word64 "head_rows" usageHeadRows
        <*> field word32 "constraint_us" usageConstraintUs
        <*> field word32 "forward_passes" usageForwardPasses
