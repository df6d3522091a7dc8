-- | Servers that can be asked, whatever happens to them. One that we start is started again when it dies, a bounded
-- number of times; one that was given to us is looked for again for a short while. A request that changes nothing is
-- repeated; one whose effect is unknown never is.
module Callspan.Supervise
  ( Host,
    withHost,
    hostDirectory,
    Server,
    ServerFailure (..),
    Repeat (..),
    ownedServer,
    givenServer,
    launch,
    request,
  )
where

import Callspan.Deadline
import Callspan.Ipc.Client
import Callspan.Ipc.Frame (Body (BodyHealth))
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Supervise.Child
import Callspan.Supervise.Failure
import Callspan.Supervise.Watchdog
import Callspan.Trace
import Control.Concurrent (threadDelay)
import Control.Concurrent.Async (forConcurrently_)
import Control.Exception (bracket, catch, finally, mask_, throwIO)
import Control.Monad (unless, when, (>=>))
import Data.Foldable (for_, traverse_)
import Data.IORef (IORef, modifyIORef', newIORef, readIORef, writeIORef)
import Data.List.NonEmpty (NonEmpty (..))
import Data.List.NonEmpty qualified as NonEmpty
import Data.Maybe (catMaybes, fromMaybe, isJust, isNothing)
import Data.Text (Text)
import System.Directory (removePathForcibly)

-- | What the servers of one question share.
data Host = Host
  { hostWatchdog :: Watchdog,
    -- | Private, for the sockets of the servers that we start.
    hostDirectory :: FilePath,
    hostTrace :: TraceId,
    hostDeadline :: Deadline,
    hostTell :: Notice -> IO (),
    hostChildren :: IORef [Child],
    hostClients :: IORef [Client]
  }

-- | Ends every server that was started in it, and removes the directory.
withHost :: FilePath -> TraceId -> Deadline -> (Notice -> IO ()) -> (Host -> IO a) -> IO a
withHost directory trace deadline tell run =
  withWatchdog directory $ \watchdog ->
    bracket (Host watchdog directory trace deadline tell <$> newIORef [] <*> newIORef []) end run
  where
    -- Connections first, so that whoever sits in between (a tap) sees their end.
    end host = (hangUp host >> stop host) `finally` removePathForcibly directory
    hangUp host = readIORef (hostClients host) >>= mapM_ close
    stop host = readIORef (hostChildren host) >>= (`forConcurrently_` stopChild)

-- | A server: the hops on the way to it, the last of which is connected to, and the connection, once there is one.
data Server = Server
  { serverName :: Text,
    serverHops :: NonEmpty Hop,
    serverClient :: IORef (Maybe Client)
  }

-- | A socket, and the program that we start to listen there; none: somebody else did.
data Hop = Hop
  { hopName :: Text,
    hopSocket :: FilePath,
    hopProgram :: Maybe Program,
    hopChild :: IORef (Maybe Child),
    -- | It has been reached before: its death is an accident, not a mistake in how it was started.
    hopReached :: IORef Bool,
    hopRestarts :: IORef Int
  }

-- | Whether a request whose outcome is unknown may be sent again.
data Repeat = Repeatable | Once
  deriving stock (Show, Eq)

-- | A server that we start; the programs after it listen in front of it (a tap).
ownedServer :: Program -> [Program] -> IO Server
ownedServer program inFront = do
  hop <- ownedHop program
  Server (programName program) . (hop :|) <$> traverse ownedHop inFront <*> newIORef Nothing

givenServer :: Text -> FilePath -> [Program] -> IO Server
givenServer name socket inFront = do
  hop <- Hop name socket Nothing <$> newIORef Nothing <*> newIORef False <*> newIORef 0
  Server name . (hop :|) <$> traverse ownedHop inFront <*> newIORef Nothing

ownedHop :: Program -> IO Hop
ownedHop program =
  Hop (programName program) (programSocket program) (Just program) <$> newIORef Nothing <*> newIORef False <*> newIORef 0

-- | Starts the server without waiting for it, so that several start at the same time.
launch :: Host -> Server -> IO ()
launch host server = traverse_ (keepRunning host hop) (hopProgram hop)
  where
    hop = NonEmpty.head (serverHops server)

-- | One request and its last answer; what comes before that is handed on.
request :: Host -> Server -> Repeat -> (Delta -> IO ()) -> Body -> IO (Either CallFailure Body)
request host server repeats onDelta body = go (3 :: Int) (5 :: Int)
  where
    go losses refusals = do
      client <- reach host server
      remaining <- remainingMicros (hostDeadline host)
      traceparent <- newTraceparent (hostTrace host)
      let meta = Meta traceparent (fromIntegral (max 1 (remaining `div` 1000)))
      answer <- call client meta (remaining + graceMicros) onDelta body
      case answer of
        Left (Lost why) -> do
          death <- findDeath server
          let reason = fromMaybe (serverName server <> ": " <> why) death
          case repeats of
            Once -> Left (Lost reason) <$ reachAfter reason
            Repeatable | losses == 0 -> pure (Left (Lost reason))
            Repeatable -> do
              -- A death is told when the server is started again.
              when (isNothing death) (hostTell host (Warning (reason <> "; asking again")))
              go (losses - 1) refusals
        Left (Rejected e) | errorRetryAfterMs e > 0, refusals > 0 -> do
          threadDelay (min remaining (1000 * fromIntegral (min 10000 (errorRetryAfterMs e))))
          go losses (refusals - 1)
        other -> pure other
    -- Without the server there is no going on, whatever the model makes of the lost step.
    reachAfter reason =
      answers (20 :: Int) `catch` \(ServerFailure what hint) ->
        throwIO (ServerFailure (reason <> " while it ran a request, whose outcome is unknown; " <> what) hint)
    -- One that dies takes connections for a moment still, so that it is asked something.
    answers tries = do
      client <- reach host server
      remaining <- remainingMicros (hostDeadline host)
      traceparent <- newTraceparent (hostTrace host)
      let meta = Meta traceparent (fromIntegral (max 1 (remaining `div` 1000)))
      call client meta remaining (const (pure ())) BodyHealth >>= \case
        Left (Lost _) | tries > 0 -> threadDelay 20000 >> answers (tries - 1)
        _ -> pure ()
    -- The server knows the deadline too; this is for one that does not answer at all.
    graceMicros = 500000

-- | Which of our processes on the way to a server has died, if that is why a connection ended.
findDeath :: Server -> IO (Maybe Text)
findDeath server = search (20 :: Int)
  where
    search tries = do
      deaths <- traverse death (NonEmpty.toList (serverHops server))
      case catMaybes deaths of
        reason : _ -> pure (Just reason)
        -- The connection's end can be seen before the process's.
        [] | tries > 0, any (isJust . hopProgram) (serverHops server) -> threadDelay 5000 >> search (tries - 1)
        [] -> pure Nothing
    death hop = readIORef (hopChild hop) >>= fmap (>>= named hop) . traverse childExit
    named hop = fmap (\code -> hopName hop <> " " <> describeExit code)

-- | A connection that is open, starting what has to be started.
reach :: Host -> Server -> IO Client
reach host server =
  readIORef (serverClient server) >>= \case
    Nothing -> fresh
    Just client -> do
      open <- isOpen client
      if open then pure client else close client >> fresh
  where
    fresh = do
      let hops = serverHops server
      for_ (NonEmpty.init hops) (reachHop host >=> close)
      client <- reachHop host (NonEmpty.last hops)
      modifyIORef' (hostClients host) (client :)
      writeIORef (serverClient server) (Just client)
      pure client

-- | Connects to a hop as soon as it listens.
reachHop :: Host -> Hop -> IO Client
reachHop host hop = do
  patience <- maybe (min (hostDeadline host) <$> deadlineIn givenMicros) (const (pure (hostDeadline host))) (hopProgram hop)
  attempt patience 1000
  where
    attempt patience pause = do
      traverse_ (keepRunning host hop) (hopProgram hop)
      connect (hopSocket hop) >>= \case
        Right client -> client <$ writeIORef (hopReached hop) True
        Left why -> do
          remaining <- remainingMicros patience
          when (remaining == 0) (throwIO (if isJust (hopProgram hop) then notYet (hopName hop) else unreachable (hopName hop) (hopSocket hop) why))
          threadDelay (min remaining pause)
          attempt patience (min 20000 (2 * pause))
    givenMicros = 2000000

-- | Starts the program if it does not run. One that ends before it was ever reached would do so again.
keepRunning :: Host -> Hop -> Program -> IO ()
keepRunning host hop program =
  readIORef (hopChild hop) >>= \case
    Nothing -> start
    Just child -> childExit child >>= traverse_ (died child . describeExit)
  where
    start = mask_ $ do
      child <- startChild (hostWatchdog host) (hostTell host . ServerSaid (hopName hop)) program
      writeIORef (hopChild hop) (Just child)
      modifyIORef' (hostChildren host) (child :)
    died child reason = do
      reached <- readIORef (hopReached hop)
      unless reached $ throwIO . diedAtStart program reason =<< childTail child
      restarts <- readIORef (hopRestarts hop)
      case drop restarts restartPauses of
        [] -> throwIO . diedAgain program reason restarts =<< childTail child
        pause : _ -> do
          writeIORef (hopRestarts hop) (restarts + 1)
          hostTell host (Restarting (hopName hop) reason (restarts + 1))
          stopChild child
          threadDelay . min pause =<< remainingMicros (hostDeadline host)
          start

-- | How long to wait before each restart, in microseconds; after the last there is none.
restartPauses :: [Int]
restartPauses = [20000, 200000, 1000000]
