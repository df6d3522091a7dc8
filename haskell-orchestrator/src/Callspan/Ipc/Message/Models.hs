-- | Which models an inference server has, and what becomes of them.
module Callspan.Ipc.Message.Models
  ( Models (..),
    ModelList (..),
    ModelInfo (..),
  )
where

import Callspan.Ipc.Fields
import Data.Text (Text)
import Data.Word (Word32, Word64)

-- | Asks for the list, and with one of the names set for a change.
data Models = Models
  { modelsLoad :: Text,
    modelsUnload :: Text,
    modelsReload :: Text
  }
  deriving stock (Show, Eq)

instance Proto Models where
  schema =
    Schema "Models" $
      Models
        <$> field text "load" modelsLoad
        <*> field text "unload" modelsUnload
        <*> field text "reload" modelsReload

newtype ModelList = ModelList {modelListModels :: [ModelInfo]}
  deriving stock (Show, Eq)

instance Proto ModelList where
  schema = Schema "ModelList" $ ModelList <$> field (repeated message) "models" modelListModels

data ModelInfo = ModelInfo
  { modelName :: Text,
    -- | native, openai or mistralrs
    modelBackend :: Text,
    modelSource :: Text,
    -- | loaded, loading, unloaded or remote
    modelState :: Text,
    modelDefault :: Bool,
    -- | What 'doneGuarantee' can be at best.
    modelGuarantee :: Text,
    modelMemoryBytes :: Word64,
    modelRequests :: Word32,
    modelIdleMs :: Word32,
    -- | 0: not known.
    modelContext :: Word32,
    modelAdapters :: [Text],
    -- | Why it could not be loaded.
    modelProblem :: Text
  }
  deriving stock (Show, Eq)

instance Proto ModelInfo where
  schema =
    Schema "ModelInfo" $
      ModelInfo
        <$> field text "name" modelName
        <*> field text "backend" modelBackend
        <*> field text "source" modelSource
        <*> field text "state" modelState
        <*> field bool "default" modelDefault
        <*> field text "guarantee" modelGuarantee
        <*> field word64 "memory_bytes" modelMemoryBytes
        <*> field word32 "requests" modelRequests
        <*> field word32 "idle_ms" modelIdleMs
        <*> field word32 "context" modelContext
        <*> field (repeated text) "adapters" modelAdapters
        <*> field text "problem" modelProblem
