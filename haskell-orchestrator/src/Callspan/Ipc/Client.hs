-- | A connection to a server: many requests at a time over one socket, told apart by their ids.
--
-- One thread reads and one writes, so that a server that is slow to read never keeps us from reading (both sides
-- writing to full buffers is the classic hang). Whatever ends the connection ends every request on it with the reason.
module Callspan.Ipc.Client
  ( Client,
    CallFailure (..),
    connect,
    close,
    isOpen,
    call,
  )
where

import Callspan.Ipc.Frame
import Callspan.Ipc.Lines
import Callspan.Ipc.Message
import Control.Concurrent.Async (Async, async, cancel)
import Control.Concurrent.STM
import Control.Exception (IOException, mask, onException, try)
import Control.Monad (forever, unless, void, when)
import Data.ByteString.Char8 qualified as Bytes
import Data.ByteString.Lazy qualified as Lazy
import Data.Foldable (for_)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Maybe (isNothing)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)
import Data.Word (Word32)
import GHC.IO.Exception (ioe_description)
import Network.Socket (Family (AF_UNIX), ShutdownCmd (ShutdownBoth), SockAddr (SockAddrUnix), Socket, SocketType (Stream))
import Network.Socket qualified as Socket
import Network.Socket.ByteString (recv)
import Network.Socket.ByteString.Lazy (sendAll)
import System.Timeout (timeout)

data Client = Client
  { clientSocket :: Socket,
    clientOutbox :: TBQueue Lazy.ByteString,
    clientWaiting :: TVar (Map Word32 (TBQueue Body)),
    clientNextId :: TVar Word32,
    -- | Why there is no connection any more.
    clientClosed :: TVar (Maybe Text),
    -- | The server wants no new requests.
    clientGoingAway :: TVar Bool,
    clientThreads :: TVar [Async ()]
  }

-- | Why a request has no answer.
data CallFailure
  = -- | The server says so.
    Rejected Error
  | -- | The connection ended, for this reason, before the answer came.
    Lost Text
  | TimedOut
  deriving stock (Show, Eq)

connect :: FilePath -> IO (Either Text Client)
connect path
  | Bytes.length (encodeUtf8 (Text.pack path)) > maxPathBytes =
    pure (Left ("a socket's path has at most " <> Text.pack (show maxPathBytes) <> " bytes: " <> Text.pack path))
  | otherwise = mask $ \restore -> do
    socket <- Socket.socket AF_UNIX Stream Socket.defaultProtocol
    connected <- try (restore (Socket.connect socket (SockAddrUnix path))) `onException` Socket.close socket
    case connected of
      Left e -> Left (reasonOf e) <$ Socket.close socket
      Right () -> Right <$> start socket
  where
    -- The least of the systems that we run on (macOS), less the closing zero.
    maxPathBytes = 103

start :: Socket -> IO Client
start socket = do
  client <-
    Client socket <$> newTBQueueIO 64 <*> newTVarIO Map.empty <*> newTVarIO 1 <*> newTVarIO Nothing <*> newTVarIO False
      <*> newTVarIO []
  threads <- traverse async [endingWith client (reading client), endingWith client (writing client)]
  atomically (writeTVar (clientThreads client) threads)
  pure client

-- | Runs one direction; however it ends, the connection is over.
endingWith :: Client -> IO Text -> IO ()
endingWith client run = do
  reason <- try run
  hangUp client (either reasonOf id reason)

-- | What the system says, without the name of the library that asked it.
reasonOf :: IOException -> Text
reasonOf = Text.pack . ioe_description

-- | The first reason counts. Shutting the socket down wakes the other direction.
hangUp :: Client -> Text -> IO ()
hangUp client reason = do
  first <- atomically $ do
    open <- isNothing <$> readTVar (clientClosed client)
    when open (writeTVar (clientClosed client) (Just reason))
    pure open
  when first (void (try (Socket.shutdown (clientSocket client) ShutdownBoth) :: IO (Either IOException ())))

close :: Client -> IO ()
close client = do
  hangUp client "closed by this side"
  readTVarIO (clientThreads client) >>= mapM_ cancel
  Socket.close (clientSocket client)

-- | Whether new requests make sense on this connection.
isOpen :: Client -> IO Bool
isOpen client = atomically ((\closed going -> isNothing closed && not going) <$> readTVar (clientClosed client) <*> readTVar (clientGoingAway client))

writing :: Client -> IO Text
writing client = forever $ do
  line <- atomically (readTBQueue (clientOutbox client))
  sendAll (clientSocket client) (line <> "\n")

reading :: Client -> IO Text
reading client = newLineReader maxLineBytes (recv (clientSocket client) 65536) >>= go
  where
    go reader =
      nextLine reader >>= \case
        Left EndOfStream -> pure "the server closed the connection"
        Left CutLine -> pure "the server closed the connection in the middle of a frame"
        Left (LineTooLong limit) -> pure ("the server sent a frame of more than " <> Text.pack (show limit) <> " bytes")
        Right line -> case decodeFrame line of
          Left why -> pure ("the server sent what is no frame: " <> why)
          Right frame -> receive client frame >>= maybe (go reader) pure

-- | Hands a frame to its request; Just a reason: the connection is over.
receive :: Client -> Frame -> IO (Maybe Text)
receive client (Frame ident body meta) = case body of
  Just (BodyGoAway _) | ident == 0 -> Nothing <$ atomically (writeTVar (clientGoingAway client) True)
  Just (BodyError e) | ident == 0 -> pure (Just (codeName (errorCode e) <> ": " <> errorMessage e))
  -- Nothing that a server asks of us is allowed yet, and it must not wait for ever.
  Just (BodyToolRequest _) -> Nothing <$ atomically (writeTBQueue (clientOutbox client) (encodeFrame (denial meta)))
  Just known -> Nothing <$ atomically (deliver known)
  Nothing -> Nothing <$ atomically (deliver (BodyError unknownBody))
  where
    -- A full inbox keeps the reader waiting, which the server feels; a request that is gone lets it go on.
    deliver content = do
      waiting <- readTVar (clientWaiting client)
      for_ (Map.lookup ident waiting) (`writeTBQueue` content)
    denial = Frame ident (Just (BodyToolDecision (ToolDecision "deny" "" "this client allows no nested calls")))
    unknownBody = Error Unimplemented "the server answered with a body that this program does not know" "use programs of the same version" 0

-- | Sends a request and waits for its last answer, at most so many microseconds. One that is not waited for to its end
-- is cancelled at the server.
call :: Client -> Meta -> Int -> (Delta -> IO ()) -> Body -> IO (Either CallFailure Body)
call client meta limit onDelta body = mask $ \restore -> do
  (ident, inbox) <- atomically register
  result <- restore (timeout limit (exchange ident inbox)) `onException` abandon ident
  maybe (Left TimedOut <$ abandon ident) (<$ forget ident) result
  where
    register = do
      ident <- readTVar (clientNextId client)
      writeTVar (clientNextId client) (ident + 2)
      inbox <- newTBQueue 256
      modifyTVar' (clientWaiting client) (Map.insert ident inbox)
      pure (ident, inbox)
    forget ident = atomically (modifyTVar' (clientWaiting client) (Map.delete ident))
    -- If the outbox is full the server reads nothing, and would not read this either.
    abandon ident = do
      forget ident
      atomically $ do
        full <- isFullTBQueue (clientOutbox client)
        unless full (writeTBQueue (clientOutbox client) (encodeFrame (Frame ident (Just BodyCancel) Nothing)))
    exchange ident inbox = do
      sent <- orClosed (writeTBQueue (clientOutbox client) (encodeFrame (Frame ident (Just body) (Just meta))))
      either (pure . Left . Lost) (const (await inbox)) sent
    await inbox =
      orClosed (readTBQueue inbox) >>= \case
        Left reason -> pure (Left (Lost reason))
        Right (BodyDelta delta) -> onDelta delta >> await inbox
        Right (BodyError e) -> pure (Left (Rejected e))
        Right answer -> pure (Right answer)
    -- What has arrived comes before the news that nothing more will.
    orClosed act = atomically ((Right <$> act) `orElse` (readTVar (clientClosed client) >>= maybe retry (pure . Left)))
