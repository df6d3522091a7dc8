-- | Supervision of real processes: this test program started again as a server that can die.
module SuperviseSpec (spec, holdServer) where

import Callspan.Deadline
import Callspan.Ipc.Client (CallFailure (..))
import Callspan.Ipc.Frame
import Callspan.Ipc.Message
import Callspan.Notice
import Callspan.Supervise
import Callspan.Supervise.Child (Program (..))
import Callspan.Trace
import Control.Concurrent (newEmptyMVar, putMVar, takeMVar, threadDelay)
import Control.Exception (SomeException, try)
import Data.IORef (modifyIORef', newIORef, readIORef)
import Data.Text (Text)
import Data.Text qualified as Text
import FakeServer
import System.Directory (doesDirectoryExist, getTemporaryDirectory, removePathForcibly)
import System.Environment (getExecutablePath)
import System.FilePath ((</>))
import System.IO (hFlush, hGetLine, stdout)
import System.Posix.Signals (nullSignal, sigKILL, signalProcess)
import System.Posix.Temp (mkdtemp)
import System.Posix.Types (CPid)
import System.Process (CreateProcess (std_out), StdStream (CreatePipe), createProcess, getPid, proc, waitForProcess)
import Test.Hspec

-- | A host, a server of it that can die, and what has been told so far.
supervised :: (Host -> Server -> IO [Notice] -> IO a) -> IO a
supervised use = do
  directory <- getTemporaryDirectory >>= \t -> mkdtemp (t </> "callspan-test-")
  supervisedIn directory use

supervisedIn :: FilePath -> (Host -> Server -> IO [Notice] -> IO a) -> IO a
supervisedIn directory use = do
  told <- newIORef []
  trace <- newTraceId
  deadline <- deadlineIn 20000000
  self <- getExecutablePath
  withHost directory trace deadline (\n -> modifyIORef' told (n :)) $ \host -> do
    let socket = hostDirectory host </> "s"
    server <- ownedServer (Program "mortal" self ["serve-as-process", socket] socket False) []
    use host server (reverse <$> readIORef told)

ping :: Host -> Server -> Repeat -> Text -> IO (Either CallFailure Body)
ping host server repeats = request host server repeats (const (pure ())) . BodyPing . Payload

pidOf :: Host -> Server -> IO CPid
pidOf host server =
  ping host server Repeatable "who" >>= \case
    Right (BodyPong (Payload pid)) -> pure (read (Text.unpack pid))
    other -> fail (show other)

-- | A process of its own, to be killed: prints the process id of the server that it holds, and waits.
holdServer :: FilePath -> IO ()
holdServer directory = supervisedIn directory $ \host server _ -> do
  pidOf host server >>= print
  hFlush stdout
  threadDelay 60000000

eventually :: IO Bool -> IO ()
eventually condition = go (500 :: Int)
  where
    go n = condition >>= \case
      True -> pure ()
      False | n == 0 -> expectationFailure "did not happen within 5 s"
      False -> threadDelay 10000 >> go (n - 1)

alive :: CPid -> IO Bool
alive pid = either (\(_ :: SomeException) -> False) (const True) <$> try (signalProcess nullSignal pid)

spec :: Spec
spec = do
  it "starts a server, and ends it and its directory at the end" $ do
    (pid, directory) <- supervised $ \host server _ -> (,) <$> pidOf host server <*> pure (hostDirectory host)
    alive pid `shouldReturn` False
    doesDirectoryExist directory `shouldReturn` False
  it "starts a killed server again, says so, and asks again" $ supervised $ \host server told -> do
    first <- pidOf host server
    signalProcess sigKILL first
    second <- pidOf host server
    second `shouldNotBe` first
    told `shouldReturn` [Restarting "mortal" "was killed by signal 9" 1]
  it "never repeats a request whose outcome is unknown" $ supervised $ \host server told -> do
    first <- pidOf host server
    ping host server Once "die" `shouldReturn` Left (Lost "mortal was killed by signal 9")
    told `shouldReturn` [Restarting "mortal" "was killed by signal 9" 1]
    second <- pidOf host server
    second `shouldNotBe` first
  it "gives up on a request that kills the server every time" $ supervised $ \host server told -> do
    _ <- pidOf host server
    ping host server Repeatable "die" `shouldReturn` Left (Lost "mortal was killed by signal 9")
    restarts <- told
    restarts `shouldBe` [Restarting "mortal" "was killed by signal 9" n | n <- [1 .. 3]]
  it "shows what a server said that does not come up" $ supervised $ \host server _ -> do
    writeFile (hostDirectory host </> "s.refuse") ""
    result <- try (ping host server Repeatable "who")
    case result of
      Left (ServerFailure what _) -> what `shouldBe` "mortal ended with exit code 3 before it listened; it said:\n  no such model"
      Right other -> expectationFailure (show other)
  it "says how to start a given server that is not there" $ supervised $ \host _ _ -> do
    server <- givenServer "python-executor" "/proc/nonexistent/socket" []
    result <- try (ping host server Repeatable "who")
    case result of
      Left (ServerFailure what hint) -> do
        what `shouldBe` "python-executor cannot be reached at /proc/nonexistent/socket: No such file or directory"
        hint `shouldBe` "start it: python-executor --socket /proc/nonexistent/socket"
      Right other -> expectationFailure (show other)
  it "cannot go on without a given server that is lost for good, and says that an outcome is unknown" $
    supervised $ \host _ _ -> do
      ready <- newEmptyMVar
      -- It takes its socket away before it hangs up.
      let serve _ r = readFrame r >> takeMVar ready >>= removePathForcibly
      result <- try . withServer serve $ \path -> do
        server <- givenServer "given" path []
        putMVar ready path
        ping host server Once "x"
      case result of
        Left (ServerFailure what _) ->
          Text.unpack what `shouldStartWith` "given: the server closed the connection while it ran a request, whose outcome is unknown; given cannot be reached at "
        Right other -> expectationFailure (show other)
  it "takes its servers along when it is killed outright" $ do
    directory <- getTemporaryDirectory >>= \t -> mkdtemp (t </> "callspan-test-")
    self <- getExecutablePath
    (_, Just out, _, holder) <- createProcess (proc self ["hold-server", directory]) {std_out = CreatePipe}
    pid <- read <$> hGetLine out
    alive pid `shouldReturn` True
    getPid holder >>= mapM_ (signalProcess sigKILL)
    _ <- waitForProcess holder
    eventually (not <$> alive pid)
    eventually (not <$> doesDirectoryExist directory)
  it "looks again for a given server that closed the connection" $ do
    served <- newIORef (0 :: Int)
    let serve s r = do
          modifyIORef' served (+ 1)
          n <- readIORef served
          readFrame r >>= mapM_ (\f -> if n == 1 then pure () else answer s f (BodyPong (Payload "again")) >> threadDelay 50000)
    supervised $ \host _ told -> withServer serve $ \path -> do
      server <- givenServer "given" path []
      ping host server Repeatable "x" `shouldReturn` Right (BodyPong (Payload "again"))
      told `shouldReturn` [Warning "given: the server closed the connection; asking again"]
