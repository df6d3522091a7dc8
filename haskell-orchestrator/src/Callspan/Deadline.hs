-- | A point in time on the monotonic clock: a question's time is counted once, not anew for each of its requests.
module Callspan.Deadline
  ( Deadline,
    deadlineIn,
    remainingMicros,
  )
where

import Data.Word (Word64)
import GHC.Clock (getMonotonicTimeNSec)

newtype Deadline = Deadline Word64
  deriving stock (Show, Eq, Ord)

-- | So many microseconds from now.
deadlineIn :: Int -> IO Deadline
deadlineIn micros = (\now -> Deadline (now + 1000 * fromIntegral micros)) <$> getMonotonicTimeNSec

-- | 0 when it has passed.
remainingMicros :: Deadline -> IO Int
remainingMicros (Deadline at) = (\now -> if now >= at then 0 else fromIntegral ((at - now) `div` 1000)) <$> getMonotonicTimeNSec

