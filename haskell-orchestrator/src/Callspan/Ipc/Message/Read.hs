-- | What is said with rust-inference of texts that it only reads: vectors that stand for them, and how probable they are.
module Callspan.Ipc.Message.Read
  ( Embed (..),
    Embeddings (..),
    Embedding (..),
    Score (..),
    Scores (..),
  )
where

import Callspan.Ipc.Fields
import Callspan.Ipc.Message.Model (Chat, TokenLogprob, Tool, Usage)
import Data.Text (Text)
import Data.Word (Word32)

-- | Give vectors that stand for texts.
data Embed = Embed
  { embedInput :: [Text],
    -- | Nothing: True.
    embedNormalize :: Maybe Bool,
    embedModel :: Text
  }
  deriving stock (Show, Eq)

instance Proto Embed where
  schema =
    Schema "Embed" $
      Embed
        <$> field (repeated text) "input" embedInput
        <*> field (optional bool) "normalize" embedNormalize
        <*> field text "model" embedModel

-- | A vector for each text, in order.
data Embeddings = Embeddings
  { embeddingsVectors :: [Embedding],
    embeddingsDimensions :: Word32,
    embeddingsUsage :: Maybe Usage,
    embeddingsModel :: Text,
    embeddingsWarnings :: [Text]
  }
  deriving stock (Show, Eq)

instance Proto Embeddings where
  schema =
    Schema "Embeddings" $
      Embeddings
        <$> field (repeated message) "vectors" embeddingsVectors
        <*> field word32 "dimensions" embeddingsDimensions
        <*> field (optional message) "usage" embeddingsUsage
        <*> field text "model" embeddingsModel
        <*> field (repeated text) "warnings" embeddingsWarnings

-- | The vector of one text, and how many tokens it was made of.
data Embedding = Embedding
  { embeddingValues :: [Float],
    embeddingTokens :: Word32
  }
  deriving stock (Show, Eq)

instance Proto Embedding where
  schema =
    Schema "Embedding" $
      Embedding
        <$> field (repeated float) "values" embeddingValues
        <*> field word32 "tokens" embeddingTokens

-- | Say how probable a text is behind a chat or a prompt.
data Score = Score
  { scoreChat :: Maybe Chat,
    scorePrompt :: Maybe Text,
    scoreTools :: [Tool],
    -- | The text …
    scoreCompletion :: Text,
    -- | … or its tokens.
    scoreCompletionIds :: [Word32],
    scoreTop :: Word32,
    scoreModel :: Text
  }
  deriving stock (Show, Eq)

instance Proto Score where
  schema =
    Schema "Score" $
      Score
        <$> field (optional message) "chat" scoreChat
        <*> field (optional text) "prompt" scorePrompt
        <*> field (repeated message) "tools" scoreTools
        <*> field text "completion" scoreCompletion
        <*> field (repeated word32) "completion_ids" scoreCompletionIds
        <*> field word32 "top" scoreTop
        <*> field text "model" scoreModel

-- | How probable a text is, token by token and in all.
data Scores = Scores
  { scoresLogprobs :: [TokenLogprob],
    scoresSum :: Double,
    scoresCount :: Word32,
    scoresUsage :: Maybe Usage,
    scoresModel :: Text,
    scoresWarnings :: [Text]
  }
  deriving stock (Show, Eq)

instance Proto Scores where
  schema =
    Schema "Scores" $
      Scores
        <$> field (repeated message) "logprobs" scoresLogprobs
        <*> field double "sum" scoresSum
        <*> field word32 "count" scoresCount
        <*> field (optional message) "usage" scoresUsage
        <*> field text "model" scoresModel
        <*> field (repeated text) "warnings" scoresWarnings
