-- | Messages about the connection and the server rather than about one job: greeting, health, errors.
module Callspan.Ipc.Message.Control
  ( Code (..),
    codeName,
    Error (..),
    Meta (..),
    Hello (..),
    Welcome (..),
    HealthReport (..),
    MetricsReport (..),
    Description (..),
    Payload (..),
    GoAway (..),
  )
where

import Callspan.Ipc.Fields
import Data.Aeson qualified as Aeson
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Text (Text)
import Data.Word (Word32)

-- | @google.rpc.Code@, in its numbers' order.
data Code
  = Ok
  | Cancelled
  | Unknown
  | InvalidArgument
  | DeadlineExceeded
  | NotFound
  | AlreadyExists
  | PermissionDenied
  | ResourceExhausted
  | FailedPrecondition
  | Aborted
  | OutOfRange
  | Unimplemented
  | Internal
  | Unavailable
  | DataLoss
  | Unauthenticated
  deriving stock (Show, Eq, Ord, Enum, Bounded)

codeName :: Code -> Text
codeName = \case
  Ok -> "OK"
  Cancelled -> "CANCELLED"
  Unknown -> "UNKNOWN"
  InvalidArgument -> "INVALID_ARGUMENT"
  DeadlineExceeded -> "DEADLINE_EXCEEDED"
  NotFound -> "NOT_FOUND"
  AlreadyExists -> "ALREADY_EXISTS"
  PermissionDenied -> "PERMISSION_DENIED"
  ResourceExhausted -> "RESOURCE_EXHAUSTED"
  FailedPrecondition -> "FAILED_PRECONDITION"
  Aborted -> "ABORTED"
  OutOfRange -> "OUT_OF_RANGE"
  Unimplemented -> "UNIMPLEMENTED"
  Internal -> "INTERNAL"
  Unavailable -> "UNAVAILABLE"
  DataLoss -> "DATA_LOSS"
  Unauthenticated -> "UNAUTHENTICATED"

-- | By name or by number. A code that we do not know is still an error: it is read as UNKNOWN.
code :: Shape Code
code = Shape (Just Ok) (== Ok) parse (Aeson.String . codeName)
  where
    parse = \case
      Aeson.String name -> pure (Map.findWithDefault Unknown name byName)
      other -> do
        number <- shapeRead word32 other
        pure (if number <= top then toEnum (fromIntegral number) else Unknown)
    byName = Map.fromList [(codeName c, c) | c <- [minBound ..]]
    top = fromIntegral (fromEnum (maxBound :: Code))

-- | Why a request failed.
data Error = Error
  { errorCode :: Code,
    errorMessage :: Text,
    -- | What to do about it.
    errorHint :: Text,
    -- | When to try again; 0: not said.
    errorRetryAfterMs :: Word32
  }
  deriving stock (Show, Eq)

instance Proto Error where
  schema =
    Schema "Error" $
      Error
        <$> field code "code" errorCode
        <*> field text "message" errorMessage
        <*> field text "hint" errorHint
        <*> field word32 "retry_after_ms" errorRetryAfterMs

-- | What accompanies any frame.
data Meta = Meta
  { -- | W3C Trace Context.
    metaTraceparent :: Text,
    -- | How long the sender is ready to wait; 0: the server's default.
    metaTimeoutMs :: Word32
  }
  deriving stock (Show, Eq)

instance Proto Meta where
  schema =
    Schema "Meta" $
      Meta
        <$> field text "traceparent" metaTraceparent
        <*> field word32 "timeout_ms" metaTimeoutMs

-- | Who the client is.
data Hello = Hello
  { helloClient :: Text,
    helloProtocol :: Word32
  }
  deriving stock (Show, Eq)

instance Proto Hello where
  schema =
    Schema "Hello" $
      Hello
        <$> field text "client" helloClient
        <*> field word32 "protocol" helloProtocol

-- | Who the server is, and what it answers.
data Welcome = Welcome
  { welcomeServer :: Text,
    welcomeVersion :: Text,
    welcomeProtocol :: Word32,
    welcomeMaxFrameBytes :: Word32,
    welcomeMethods :: [Text]
  }
  deriving stock (Show, Eq)

instance Proto Welcome where
  schema =
    Schema "Welcome" $
      Welcome
        <$> field text "server" welcomeServer
        <*> field text "version" welcomeVersion
        <*> field word32 "protocol" welcomeProtocol
        <*> field word32 "max_frame_bytes" welcomeMaxFrameBytes
        <*> field (repeated text) "methods" welcomeMethods

-- | How the server is.
data HealthReport = HealthReport
  { -- | SERVING | NOT_SERVING
    healthStatus :: Text,
    healthServer :: Text,
    healthVersion :: Text,
    healthPid :: Word32,
    healthUptimeMs :: Word32,
    healthDetails :: Map Text Text
  }
  deriving stock (Show, Eq)

instance Proto HealthReport where
  schema =
    Schema "HealthReport" $
      HealthReport
        <$> field text "status" healthStatus
        <*> field text "server" healthServer
        <*> field text "version" healthVersion
        <*> field word32 "pid" healthPid
        <*> field word32 "uptime_ms" healthUptimeMs
        <*> field dictionary "details" healthDetails

-- | What was counted.
data MetricsReport = MetricsReport
  { -- | As Prometheus reads it.
    metricsText :: Text,
    metricsContentType :: Text
  }
  deriving stock (Show, Eq)

instance Proto MetricsReport where
  schema =
    Schema "MetricsReport" $
      MetricsReport
        <$> field text "text" metricsText
        <*> field text "content_type" metricsContentType

-- | The protocol and how to use it.
data Description = Description
  { -- | A FileDescriptorSet in base64, as it came.
    descriptionSet :: Text,
    descriptionHelp :: Text
  }
  deriving stock (Show, Eq)

instance Proto Description where
  schema =
    Schema "Description" $
      Description
        <$> field text "descriptor_set" descriptionSet
        <*> field text "help" descriptionHelp

-- | Of ping and pong.
newtype Payload = Payload
  { payload :: Text
  }
  deriving stock (Show, Eq)

instance Proto Payload where
  schema =
    Schema "Payload" $
      Payload
        <$> field text "payload" payload

-- | No new requests on this connection, please.
newtype GoAway = GoAway
  { goAwayReason :: Text
  }
  deriving stock (Show, Eq)

instance Proto GoAway where
  schema =
    Schema "GoAway" $
      GoAway
        <$> field text "reason" goAwayReason
