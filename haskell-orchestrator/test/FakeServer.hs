-- | Servers that behave as badly as a test wants, on real Unix sockets; one of them as a process of its own.
module FakeServer
  ( withServer,
    readFrame,
    answer,
    serveAsProcess,
  )
where

import Callspan.Ipc.Frame
import Callspan.Ipc.Lines
import Callspan.Ipc.Message
import Control.Concurrent.Async (withAsync)
import Control.Exception (bracket)
import Control.Monad (forever, when)
import Data.Text qualified as Text
import Network.Socket
import Network.Socket.ByteString (recv)
import Network.Socket.ByteString.Lazy (sendAll)
import System.Directory (doesFileExist, getTemporaryDirectory, removePathForcibly)
import System.Exit (ExitCode (..), exitWith)
import System.FilePath ((</>))
import System.IO (hPutStrLn, stderr)
import System.Posix.Process (getProcessID)
import System.Posix.Signals (sigKILL, signalProcess)
import System.Posix.Temp (mkdtemp)

-- | Serves each connection in turn with the function.
withServer :: (Socket -> LineReader -> IO ()) -> (FilePath -> IO a) -> IO a
withServer serve use = bracket temporary removePathForcibly $ \directory -> do
  let path = directory </> "s"
  bracket (listening path) close $ \listener -> withAsync (accepting listener serve) (const (use path))
  where
    temporary = getTemporaryDirectory >>= \t -> mkdtemp (t </> "callspan-test-")

listening :: FilePath -> IO Socket
listening path = do
  listener <- socket AF_UNIX Stream defaultProtocol
  bind listener (SockAddrUnix path)
  listener <$ listen listener 8

accepting :: Socket -> (Socket -> LineReader -> IO ()) -> IO ()
accepting listener serve = forever $
  bracket (fst <$> accept listener) close $ \connection ->
    newLineReader maxLineBytes (recv connection 4096) >>= serve connection

readFrame :: LineReader -> IO (Maybe Frame)
readFrame reader = nextLine reader >>= either (const (pure Nothing)) (either (fail . show) (pure . Just) . decodeFrame)

answer :: Socket -> Frame -> Body -> IO ()
answer connection frame body = sendAll connection (encodeFrame frame {frameBody = Just body} <> "\n")

-- | The whole of a server: it answers pings with its own process id, but kills itself at a ping of @die@, and exits at
-- the start if a file @refuse@ lies beside its socket. A stale socket is the caller's to remove, as after kill -9.
serveAsProcess :: FilePath -> IO ()
serveAsProcess path = do
  refuses <- doesFileExist (path <> ".refuse")
  when refuses (hPutStrLn stderr "no such model" >> exitWith (ExitFailure 3))
  removePathForcibly path
  bracket (listening path) close (`accepting` serve)
  where
    serve connection reader = readFrame reader >>= \case
      Just frame | Just (BodyPing (Payload "die")) <- frameBody frame -> die
      Just frame -> do
        pid <- getProcessID
        answer connection frame (BodyPong (Payload (Text.pack (show pid))))
        serve connection reader
      Nothing -> pure ()
    die = getProcessID >>= signalProcess sigKILL
