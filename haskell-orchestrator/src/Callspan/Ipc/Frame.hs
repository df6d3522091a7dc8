-- | One line of the wire: whose request it is, what it says, and what accompanies it.
module Callspan.Ipc.Frame
  ( Frame (..),
    Body (..),
    bodyName,
    encodeFrame,
    decodeFrame,
  )
where

import Callspan.Ipc.Fields
import Callspan.Ipc.Message
import Data.Aeson (FromJSON (..), Object, ToJSON (..), Value, object, withObject, (<?>))
import Data.Aeson qualified as Aeson
import Data.Aeson.Key (Key)
import Data.Aeson.Key qualified as Key
import Data.Aeson.Types (JSONPathElement (Key), Parser)
import Data.Bifunctor (first)
import Data.ByteString (ByteString)
import Data.ByteString.Lazy qualified as Lazy
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word32)

-- | Our requests have odd ids, a server's own have even ones, 0 is the connection itself.
data Frame = Frame
  { frameId :: Word32,
    -- | Nothing: none, or one that is newer than this program.
    frameBody :: Maybe Body,
    frameMeta :: Maybe Meta
  }
  deriving stock (Show, Eq)

data Body
  = BodyDelta Delta
  | BodyGenerate Generate
  | BodyCallTool CallTool
  | BodyDone Done
  | BodyToolResult ToolResult
  | BodyCancel
  | BodyError Error
  | BodyPing Payload
  | BodyPong Payload
  | BodyToolRequest ToolRequest
  | BodyToolDecision ToolDecision
  | BodyHello Hello
  | BodyWelcome Welcome
  | BodyListTools
  | BodyTools Tools
  | BodyHealth
  | BodyHealthReport HealthReport
  | BodyDescribe
  | BodyDescription Description
  | BodyGoAway GoAway
  | BodyEmbed Embed
  | BodyEmbeddings Embeddings
  | BodyScore Score
  | BodyScores Scores
  | BodyMetrics
  | BodyMetricsReport MetricsReport
  | BodyRunCode RunCode
  | BodyModels Models
  | BodyModelList ModelList
  deriving stock (Show, Eq)

-- | A body's name on the wire, and its content.
writeBody :: Body -> (Key, Value)
writeBody = \case
  BodyDelta m -> ("delta", protoToJSON m)
  BodyGenerate m -> ("generate", protoToJSON m)
  BodyCallTool m -> ("call_tool", protoToJSON m)
  BodyDone m -> ("done", protoToJSON m)
  BodyToolResult m -> ("tool_result", protoToJSON m)
  BodyCancel -> ("cancel", object [])
  BodyError m -> ("error", protoToJSON m)
  BodyPing m -> ("ping", protoToJSON m)
  BodyPong m -> ("pong", protoToJSON m)
  BodyToolRequest m -> ("tool_request", protoToJSON m)
  BodyToolDecision m -> ("tool_decision", protoToJSON m)
  BodyHello m -> ("hello", protoToJSON m)
  BodyWelcome m -> ("welcome", protoToJSON m)
  BodyListTools -> ("list_tools", object [])
  BodyTools m -> ("tools", protoToJSON m)
  BodyHealth -> ("health", object [])
  BodyHealthReport m -> ("health_report", protoToJSON m)
  BodyDescribe -> ("describe", object [])
  BodyDescription m -> ("description", protoToJSON m)
  BodyGoAway m -> ("go_away", protoToJSON m)
  BodyEmbed m -> ("embed", protoToJSON m)
  BodyEmbeddings m -> ("embeddings", protoToJSON m)
  BodyScore m -> ("score", protoToJSON m)
  BodyScores m -> ("scores", protoToJSON m)
  BodyMetrics -> ("metrics", object [])
  BodyMetricsReport m -> ("metrics_report", protoToJSON m)
  BodyRunCode m -> ("run_code", protoToJSON m)
  BodyModels m -> ("models", protoToJSON m)
  BodyModelList m -> ("model_list", protoToJSON m)

bodyName :: Body -> Text
bodyName = Key.toText . fst . writeBody

bodyReaders :: [(Key, Value -> Parser Body)]
bodyReaders =
  [ ("delta", reading BodyDelta),
    ("generate", reading BodyGenerate),
    ("call_tool", reading BodyCallTool),
    ("done", reading BodyDone),
    ("tool_result", reading BodyToolResult),
    ("cancel", empty BodyCancel),
    ("error", reading BodyError),
    ("ping", reading BodyPing),
    ("pong", reading BodyPong),
    ("tool_request", reading BodyToolRequest),
    ("tool_decision", reading BodyToolDecision),
    ("hello", reading BodyHello),
    ("welcome", reading BodyWelcome),
    ("list_tools", empty BodyListTools),
    ("tools", reading BodyTools),
    ("health", empty BodyHealth),
    ("health_report", reading BodyHealthReport),
    ("describe", empty BodyDescribe),
    ("description", reading BodyDescription),
    ("go_away", reading BodyGoAway),
    ("embed", reading BodyEmbed),
    ("embeddings", reading BodyEmbeddings),
    ("score", reading BodyScore),
    ("scores", reading BodyScores),
    ("metrics", empty BodyMetrics),
    ("metrics_report", reading BodyMetricsReport),
    ("run_code", reading BodyRunCode),
    ("models", reading BodyModels),
    ("model_list", reading BodyModelList)
  ]
  where
    reading :: Proto a => (a -> Body) -> Value -> Parser Body
    reading make = fmap make . protoParseJSON
    empty body = withObject "an empty message" (const (pure body))

readBody :: Object -> Parser (Maybe Body)
readBody o = case [(key, parse value) | (key, parse) <- bodyReaders, Just value <- [lookupField key o]] of
  [] -> pure Nothing
  [(key, parser)] -> Just <$> parser <?> Key key
  several -> fail ("a frame has one body, this one has " <> unwords (map (Key.toString . fst) several))

instance ToJSON Frame where
  toJSON (Frame ident body meta) =
    object $
      [("id", toJSON ident) | ident /= 0]
        <> maybe [] (pure . writeBody) body
        <> maybe [] (\m -> [("meta", protoToJSON m)]) meta

instance FromJSON Frame where
  parseJSON = withObject "Frame" $ \o -> do
    ident <- with o "id" (pure 0) (shapeRead word32)
    body <- readBody o
    Frame ident body <$> with o "meta" (pure Nothing) (fmap Just . protoParseJSON)
    where
      with o key absent parse = maybe absent (\v -> parse v <?> Key key) (lookupField key o)

-- | One line without its line feed: JSON escapes any in a text.
encodeFrame :: Frame -> Lazy.ByteString
encodeFrame = Aeson.encode

-- | What was wrong names the place within the frame, e.g. @$.done.usage.prompt_tokens@.
decodeFrame :: ByteString -> Either Text Frame
decodeFrame = first Text.pack . Aeson.eitherDecodeStrict'
