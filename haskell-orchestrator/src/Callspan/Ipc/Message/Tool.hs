-- | What is said with python-executor: run a tool, list the tools; and what it may ask of us.
module Callspan.Ipc.Message.Tool
  ( CallTool (..),
    ToolResult (..),
    ToolError (..),
    Isolation (..),
    Tools (..),
    ToolProblem (..),
    ToolRequest (..),
    ToolDecision (..),
  )
where

import Callspan.Ipc.Fields
import Callspan.Ipc.Message.Model (Tool, ToolCall)
import Data.Text (Text)
import Data.Word (Word32)

-- | Run one tool.
data CallTool = CallTool
  { callToolName :: Text,
    -- | JSON text: an object.
    callToolArguments :: Text,
    callToolCallId :: Text
  }
  deriving stock (Show, Eq)

instance Proto CallTool where
  schema =
    Schema "CallTool" $
      CallTool
        <$> field text "name" callToolName
        <*> field jsonText "arguments" callToolArguments
        <*> field text "call_id" callToolCallId

-- | What became of a call.
data ToolResult = ToolResult
  { -- | ok, or why not.
    resultOutcome :: Text,
    -- | JSON text, with outcome ok.
    resultJson :: Text,
    -- | With any other outcome.
    resultError :: Maybe ToolError,
    resultStdout :: Text,
    resultStderr :: Text,
    resultTruncated :: Bool,
    resultWallUs :: Word32,
    resultCpuUs :: Word32,
    resultMaxRssKib :: Word32,
    resultIsolation :: Maybe Isolation,
    resultName :: Text,
    resultCallId :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolResult where
  schema =
    Schema "ToolResult" $
      ToolResult
        <$> field text "outcome" resultOutcome
        <*> field jsonText "result" resultJson
        <*> field (optional message) "error" resultError
        <*> field text "stdout" resultStdout
        <*> field text "stderr" resultStderr
        <*> field bool "truncated" resultTruncated
        <*> field word32 "wall_us" resultWallUs
        <*> field word32 "cpu_us" resultCpuUs
        <*> field word32 "max_rss_kib" resultMaxRssKib
        <*> field (optional message) "isolation" resultIsolation
        <*> field text "name" resultName
        <*> field text "call_id" resultCallId

-- | Why a tool did not return a result.
data ToolError = ToolError
  { toolErrorType :: Text,
    toolErrorMessage :: Text,
    toolErrorTraceback :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolError where
  schema =
    Schema "ToolError" $
      ToolError
        <$> field text "type" toolErrorType
        <*> field text "message" toolErrorMessage
        <*> field text "traceback" toolErrorTraceback

-- | How the tool was confined.
data Isolation = Isolation
  { -- | full | reduced | none
    isolationLevel :: Text,
    isolationActive :: [Text],
    isolationMissing :: [Text]
  }
  deriving stock (Show, Eq)

instance Proto Isolation where
  schema =
    Schema "Isolation" $
      Isolation
        <$> field text "level" isolationLevel
        <*> field (repeated text) "active" isolationActive
        <*> field (repeated text) "missing" isolationMissing

-- | The tools that can be called.
data Tools = Tools
  { toolsTools :: [Tool],
    toolsProblems :: [ToolProblem]
  }
  deriving stock (Show, Eq)

instance Proto Tools where
  schema =
    Schema "Tools" $
      Tools
        <$> field (repeated message) "tools" toolsTools
        <*> field (repeated message) "problems" toolsProblems

-- | A file of the tools directory that could not be used.
data ToolProblem = ToolProblem
  { problemFile :: Text,
    problemMessage :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolProblem where
  schema =
    Schema "ToolProblem" $
      ToolProblem
        <$> field text "file" problemFile
        <*> field text "message" problemMessage

-- | The server asks: may this call be made, and what does it give?
data ToolRequest = ToolRequest
  { -- | call | approval
    requestKind :: Text,
    requestCall :: Maybe ToolCall,
    requestParentId :: Word32
  }
  deriving stock (Show, Eq)

instance Proto ToolRequest where
  schema =
    Schema "ToolRequest" $
      ToolRequest
        <$> field text "kind" requestKind
        <*> field (optional message) "call" requestCall
        <*> field word32 "parent_id" requestParentId

-- | The answer to a 'ToolRequest'.
data ToolDecision = ToolDecision
  { -- | allow | deny | result
    decisionVerdict :: Text,
    -- | JSON text, with verdict result.
    decisionResult :: Text,
    decisionReason :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolDecision where
  schema =
    Schema "ToolDecision" $
      ToolDecision
        <$> field text "verdict" decisionVerdict
        <*> field jsonText "result" decisionResult
        <*> field text "reason" decisionReason
