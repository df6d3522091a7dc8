-- | The client against servers that are slow, rude, or gone, over real sockets.
module ClientSpec (spec) where

import Callspan.Ipc.Client
import Callspan.Ipc.Frame
import Callspan.Ipc.Lines
import Callspan.Ipc.Message
import Control.Concurrent (newEmptyMVar, putMVar, takeMVar, threadDelay)
import Control.Concurrent.Async (mapConcurrently)
import Control.Exception (bracket)
import Control.Monad (forM_, replicateM, (>=>))
import Data.ByteString.Lazy qualified as Lazy
import Data.Either (fromLeft)
import Data.IORef (modifyIORef', newIORef, readIORef)
import Data.Text (Text)
import Data.Text qualified as Text
import FakeServer
import Network.Socket.ByteString.Lazy (sendAll)
import System.Timeout (timeout)
import Test.Hspec

connected :: FilePath -> (Client -> IO a) -> IO a
connected path = bracket (connect path >>= either (fail . Text.unpack) pure) close

ping :: Client -> Text -> IO (Either CallFailure Body)
ping client text = call client (Meta "" 0) 5000000 (const (pure ())) (BodyPing (Payload text))

-- | What becomes of a ping if the server answers it with these bytes and closes.
answeredWith :: Lazy.ByteString -> IO (Either CallFailure Body)
answeredWith bytes = withServer (\s r -> readFrame r >> sendAll s bytes) (`connected` (`ping` "x"))

spec :: Spec
spec = around_ (timeout 20000000 >=> maybe (expectationFailure "hangs") pure) $ do
  it "matches 50 answers that come in reverse order to their requests" $ do
    let serve s r = do
          frames <- replicateM 50 (readFrame r >>= maybe (fail "closed") pure)
          forM_ (reverse frames) $ \f -> case frameBody f of
            Just (BodyPing p) -> answer s f (BodyPong p)
            _ -> fail "no ping"
    withServer serve $ \path -> connected path $ \client -> do
      let texts = map (Text.pack . show) [1 .. 50 :: Int]
      mapConcurrently (ping client) texts `shouldReturn` map (Right . BodyPong . Payload) texts
  it "uses odd ids, and gives deltas in order before the answer" $ do
    seen <- newIORef []
    let serve s r = readFrame r >>= \case
          Just f -> do
            forM_ ["a", "b", "c"] (\t -> answer s f (BodyDelta (Delta t [] "" "" [] Nothing [])))
            answer s f (BodyPong (Payload (Text.pack (show (frameId f)))))
          Nothing -> pure ()
    withServer serve $ \path -> connected path $ \client -> do
      result <- call client (Meta "" 0) 5000000 (\d -> modifyIORef' seen (deltaText d :)) (BodyPing (Payload ""))
      result `shouldBe` Right (BodyPong (Payload "1"))
      readIORef seen `shouldReturn` ["c", "b", "a"]
  it "sends the trace and the time limit along" $ do
    got <- newEmptyMVar
    withServer (\s r -> readFrame r >>= mapM_ (\f -> putMVar got (frameMeta f) >> answer s f (BodyPong (Payload "")))) $ \path ->
      connected path $ \client -> do
        _ <- call client (Meta "00-aa-bb-01" 1234) 5000000 (const (pure ())) (BodyPing (Payload ""))
        takeMVar got `shouldReturn` Just (Meta "00-aa-bb-01" 1234)
  it "gives up a slow request at its limit and cancels it" $ do
    cancelled <- newEmptyMVar
    let serve _ r = readFrame r >> readFrame r >>= putMVar cancelled >> threadDelay 100000
    withServer serve $ \path -> connected path $ \client -> do
      call client (Meta "" 0) 50000 (const (pure ())) (BodyPing (Payload "")) `shouldReturn` Left TimedOut
      takeMVar cancelled `shouldReturn` Just (Frame 1 (Just BodyCancel) Nothing)
  it "says that the server closed, or in the middle of what" $ do
    answeredWith "" `shouldReturn` Left (Lost "the server closed the connection")
    answeredWith "{\"id\":1,\"pon" `shouldReturn` Left (Lost "the server closed the connection in the middle of a frame")
  it "refuses garbage, bad UTF-8 and a line without an end" $ do
    answeredWith "HTTP/1.1 400 Bad Request\r\n" >>= (`shouldSatisfy` lostWith "the server sent what is no frame")
    answeredWith "{\"id\":1,\"pong\":{\"payload\":\"\xff\xfe\"}}\n" >>= (`shouldSatisfy` lostWith "the server sent what is no frame")
    answeredWith (Lazy.replicate (fromIntegral maxLineBytes + 1) 32)
      `shouldReturn` Left (Lost ("the server sent a frame of more than " <> Text.pack (show maxLineBytes) <> " bytes"))
  it "gives an error frame as it is, and one about the connection as its end" $ do
    answeredWith "{\"id\":1,\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no\"}}\n" `shouldReturn` Left (Rejected (Error NotFound "no" "" 0))
    answeredWith "{\"error\":{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"too many\"}}\n" `shouldReturn` Left (Lost "RESOURCE_EXHAUSTED: too many")
  it "skips frames of requests that it does not have" $
    answeredWith "{\"id\":99,\"pong\":{}}\n{\"id\":1,\"pong\":{\"payload\":\"y\"}}\n" `shouldReturn` Right (BodyPong (Payload "y"))
  it "denies what the server asks of it" $ do
    got <- newEmptyMVar
    let serve s r = do
          Just f <- readFrame r
          answer s f {frameId = 2} (BodyToolRequest (ToolRequest "call" Nothing 1))
          readFrame r >>= putMVar got
          answer s f (BodyPong (Payload ""))
    withServer serve $ \path -> connected path $ \client -> do
      ping client "" `shouldReturn` Right (BodyPong (Payload ""))
      decision <- takeMVar got
      [decisionVerdict d | Just (Frame 2 (Just (BodyToolDecision d)) _) <- [decision]] `shouldBe` ["deny"]
  it "sends and receives megabytes at the same time" $ do
    let big = Text.replicate 3000000 "x"
        serve s r = readFrame r >>= mapM_ (\f -> mapM_ (answer s f . BodyPong) [p | Just (BodyPing p) <- [frameBody f]] >> serve s r)
    withServer serve $ \path -> connected path $ \client ->
      mapConcurrently (ping client) (replicate 8 big) `shouldReturn` replicate 8 (Right (BodyPong (Payload big)))
  it "says why it cannot connect" $ do
    refused <- connect "/proc/nonexistent/socket"
    fromLeft "connected" refused `shouldBe` "No such file or directory"
    long <- connect (replicate 200 'x')
    Text.take 31 (fromLeft "connected" long) `shouldBe` "a socket's path has at most 103"
  where
    lostWith what = \case
      Left (Lost why) -> what `Text.isPrefixOf` why
      _ -> False
