-- | W3C Trace Context: one trace id a question, through every process; one span id a request.
module Callspan.Trace
  ( TraceId,
    newTraceId,
    traceIdText,
    newTraceparent,
  )
where

import Data.Bits ((.|.))
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word64)
import System.Random (randomIO)
import Text.Printf (printf)

newtype TraceId = TraceId Text
  deriving stock (Show, Eq)

newTraceId :: IO TraceId
newTraceId = TraceId <$> ((<>) <$> hex64 <*> hex64)

traceIdText :: TraceId -> Text
traceIdText (TraceId t) = t

newTraceparent :: TraceId -> IO Text
newTraceparent (TraceId trace) = (\spanId -> "00-" <> trace <> "-" <> spanId <> "-01") <$> hex64

-- | Never all zeros, which the standard forbids.
hex64 :: IO Text
hex64 = (\(n :: Word64) -> Text.pack (printf "%016x" (n .|. 1))) <$> randomIO
