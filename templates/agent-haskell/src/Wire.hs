-- | A connection to one of Callspan's servers. A request is a line of JSON, @{"id": 1, "generate": {…}}@; the lines of
-- its answer carry its id, and the last of them is the one that is no @delta@.
module Wire
  ( Wire,
    WireError (..),
    withWire,
    request,
  )
where

import Control.Exception (Exception (..), IOException, bracket, bracketOnError, handle, throwIO)
import Data.Aeson
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Aeson.Types (Pair, Parser, parseEither)
import Data.ByteString.Char8 qualified as Bytes
import Data.ByteString.Lazy qualified as Lazy
import Data.IORef (IORef, modifyIORef', newIORef, readIORef)
import Data.Text (Text)
import Data.Text qualified as Text
import GHC.IO.Exception (ioe_description)
import Network.Socket (Family (AF_UNIX), SockAddr (SockAddrUnix), SocketType (Stream), close, connect, defaultProtocol, socket, socketToHandle)
import System.IO (Handle, IOMode (ReadWriteMode), hClose, hFlush)

-- | It has one request at a time, under the number that was counted last.
data Wire = Wire Handle (IORef Int)

data WireError
  = -- | The server's own word on why a request failed: a code, a message, and what to do about it.
    Refused Text Text Text
  | -- | There is no connection, or none any more.
    Unreachable Text
  | -- | It answered with what this program does not understand.
    Strange Text
  deriving (Show, Eq)

instance Exception WireError where
  displayException = \case
    Refused code message hint -> Text.unpack (code <> ": " <> message <> (if Text.null hint then "" else " (" <> hint <> ")"))
    Unreachable why -> Text.unpack why
    Strange why -> "not understood: " <> Text.unpack why

withWire :: FilePath -> (Wire -> IO a) -> IO a
withWire path use = bracket open hClose (\h -> newIORef (-1) >>= use . Wire h)
  where
    open = handle unreachable . bracketOnError (socket AF_UNIX Stream defaultProtocol) close $ \s ->
      connect s (SockAddrUnix path) >> socketToHandle s ReadWriteMode
    unreachable (e :: IOException) = throwIO (Unreachable (Text.pack (path <> ": " <> ioe_description e <> "; does its server run?")))

-- | Sends a request and reads the last line of its answer.
request :: Wire -> Pair -> (Object -> Parser a) -> IO a
request (Wire h counter) body parser = handle lost $ do
  modifyIORef' counter (+ 2)
  number <- readIORef counter
  Lazy.hPut h (encode (object ["id" .= number, body, "meta" .= object ["timeout_ms" .= patienceMs]]) <> "\n")
  hFlush h
  await number
  where
    await number = do
      frame <- Bytes.hGetLine h >>= either (throwIO . Strange . Text.pack) pure . eitherDecodeStrict'
      owner <- understood (\o -> o .:? "id" .!= 0) frame
      failure <- understood (.:? "error") frame
      case failure of
        -- 0 is the connection's own: an error there ends it.
        Just e | owner `elem` [0, number] -> understood refusal e >>= throwIO
        _ | owner == number, not (KeyMap.member "delta" frame) -> understood parser frame
        _ -> await number
    refusal e = Refused <$> e .:? "code" .!= "UNKNOWN" <*> e .:? "message" .!= "" <*> e .:? "hint" .!= ""
    lost (e :: IOException) = throwIO (Unreachable ("the server is gone: " <> Text.pack (ioe_description e)))
    patienceMs = 120000 :: Int

understood :: (Object -> Parser a) -> Object -> IO a
understood parser = either (throwIO . Strange . Text.pack) pure . parseEither parser
