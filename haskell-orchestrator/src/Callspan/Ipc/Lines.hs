-- | Lines from a stream, bounded. Each byte is looked at once and copied once, however the stream is cut into chunks,
-- and a line without an end costs no more than the limit.
module Callspan.Ipc.Lines
  ( LineReader,
    LineError (..),
    newLineReader,
    nextLine,
    maxLineBytes,
  )
where

import Data.ByteString (ByteString)
import Data.ByteString qualified as Bytes
import Data.IORef (IORef, newIORef, readIORef, writeIORef)

data LineReader = LineReader
  { -- | Gives the next chunk; an empty one is the end.
    readerChunk :: IO ByteString,
    readerLimit :: Int,
    -- | Read, but not looked at.
    readerRest :: IORef ByteString
  }

data LineError
  = -- | Orderly: after a whole line.
    EndOfStream
  | -- | In the middle of a line.
    CutLine
  | LineTooLong Int
  deriving stock (Show, Eq)

-- | What the protocol carries at most in a line. Our servers accept less, but what they send can be longer: a tool's
-- output, each of whose characters may take six.
maxLineBytes :: Int
maxLineBytes = 0xffffff

newLineReader :: Int -> IO ByteString -> IO LineReader
newLineReader limit chunk = LineReader chunk limit <$> newIORef Bytes.empty

-- | The next line, without its line feed.
nextLine :: LineReader -> IO (Either LineError ByteString)
nextLine reader = readIORef (readerRest reader) >>= go [] 0
  where
    go pieces size chunk = case Bytes.elemIndex lineFeed chunk of
      Just at
        | size + at > readerLimit reader -> tooLong
        | otherwise -> do
          writeIORef (readerRest reader) (Bytes.drop (at + 1) chunk)
          pure (Right (Bytes.concat (reverse (Bytes.take at chunk : pieces))))
      Nothing
        | size + Bytes.length chunk > readerLimit reader -> tooLong
        | otherwise -> do
          more <- readerChunk reader
          if Bytes.null more
            then ended (size + Bytes.length chunk)
            else go (chunk : pieces) (size + Bytes.length chunk) more
    ended size = do
      writeIORef (readerRest reader) Bytes.empty
      pure (Left (if size == 0 then EndOfStream else CutLine))
    tooLong = pure (Left (LineTooLong (readerLimit reader)))
    lineFeed = 10
