-- | What is said with python-executor: run a tool, list the tools; and what it may ask of us.
module Callspan.Ipc.Message.Tool
  ( CallTool (..),
    RunCode (..),
    ToolResult (..),
    Artefact (..),
    artefactBytes,
    ToolError (..),
    Isolation (..),
    Tools (..),
    ToolInfo (..),
    ToolProblem (..),
    ToolRequest (..),
    ToolDecision (..),
  )
where

import Callspan.Ipc.Fields
import Callspan.Ipc.Message.Model (Tool, ToolCall)
import Data.Text (Text)
import Data.Text qualified as Text
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

-- | Run a snippet of Python, in which the tools are functions.
data RunCode = RunCode
  { runCodeCode :: Text,
    -- | Empty: none; new: begin one; else the id of one.
    runCodeSession :: Text,
    runCodeEndSession :: Bool,
    runCodeCallId :: Text,
    -- | Every call of a tool is asked about.
    runCodeDecides :: Bool
  }
  deriving stock (Show, Eq)

instance Proto RunCode where
  schema =
    Schema "RunCode" $
      RunCode
        <$> field text "code" runCodeCode
        <*> field text "session" runCodeSession
        <*> field bool "end_session" runCodeEndSession
        <*> field text "call_id" runCodeCallId
        <*> field bool "decides" runCodeDecides

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
    resultCallId :: Text,
    -- | Files that the tool returned.
    resultArtefacts :: [Artefact],
    -- | What ran it: spare | fork | session
    resultStart :: Text,
    resultQueueUs :: Word32,
    resultSession :: Text
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
        <*> field (repeated message) "artefacts" resultArtefacts
        <*> field text "start" resultStart
        <*> field word32 "queue_us" resultQueueUs
        <*> field text "session" resultSession

-- | A file that a tool returned.
data Artefact = Artefact
  { -- | A file name, without directories.
    artefactName :: Text,
    artefactMediaType :: Text,
    -- | In base64, as it came.
    artefactData :: Text
  }
  deriving stock (Show, Eq)

instance Proto Artefact where
  schema =
    Schema "Artefact" $
      Artefact
        <$> field text "name" artefactName
        <*> field text "media_type" artefactMediaType
        <*> field text "data" artefactData

-- | The file's length: four letters of base64 stand for three bytes, and padding for none.
artefactBytes :: Artefact -> Int
artefactBytes artefact = Text.length (Text.dropWhileEnd (== '=') (artefactData artefact)) * 3 `div` 4

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
    isolationMissing :: [Text],
    -- | What to do to have each of the missing ones.
    isolationCures :: [Text]
  }
  deriving stock (Show, Eq)

instance Proto Isolation where
  schema =
    Schema "Isolation" $
      Isolation
        <$> field text "level" isolationLevel
        <*> field (repeated text) "active" isolationActive
        <*> field (repeated text) "missing" isolationMissing
        <*> field (repeated text) "cures" isolationCures

-- | The tools that can be called.
data Tools = Tools
  { toolsTools :: [Tool],
    toolsProblems :: [ToolProblem],
    -- | Of each tool, in the order of the tools.
    toolsDetails :: [ToolInfo]
  }
  deriving stock (Show, Eq)

instance Proto Tools where
  schema =
    Schema "Tools" $
      Tools
        <$> field (repeated message) "tools" toolsTools
        <*> field (repeated message) "problems" toolsProblems
        <*> field (repeated message) "details" toolsDetails

-- | Where a tool comes from, and what it may do.
data ToolInfo = ToolInfo
  { infoName :: Text,
    infoFile :: Text,
    -- | JSON text: an object.
    infoPolicy :: Text
  }
  deriving stock (Show, Eq)

instance Proto ToolInfo where
  schema =
    Schema "ToolInfo" $
      ToolInfo
        <$> field text "name" infoName
        <*> field text "file" infoFile
        <*> field jsonText "policy" infoPolicy

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
