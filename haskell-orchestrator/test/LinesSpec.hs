-- | Lines come out the same however the stream is cut, and no line costs more than the limit.
module LinesSpec (spec) where

import Callspan.Ipc.Lines
import Data.ByteString (ByteString)
import Data.ByteString qualified as Bytes
import Data.IORef (atomicModifyIORef', newIORef)
import Test.Hspec
import Test.Hspec.QuickCheck (prop)
import Test.QuickCheck

-- | All lines of a stream that comes in these chunks, and how it ended.
readAll :: Int -> [ByteString] -> IO ([ByteString], LineError)
readAll limit chunks = do
  left <- newIORef (filter (not . Bytes.null) chunks)
  reader <- newLineReader limit (atomicModifyIORef' left (\case [] -> ([], ""); c : cs -> (cs, c)))
  let go ls = nextLine reader >>= either (\e -> pure (reverse ls, e)) (go . (: ls))
  go []

genLine :: Gen ByteString
genLine = Bytes.pack <$> listOf (arbitrary `suchThat` (/= 10))

-- | A stream of lines, cut anywhere.
genChunks :: ByteString -> Gen [ByteString]
genChunks stream
  | Bytes.null stream = pure []
  | otherwise = do
    n <- choose (1, Bytes.length stream)
    (Bytes.take n stream :) <$> genChunks (Bytes.drop n stream)

spec :: Spec
spec = do
  prop "come out as they went in, however the stream is cut" $
    forAll (listOf genLine) $ \ls ->
      forAll (genChunks (Bytes.concat (map (<> "\n") ls))) $ \chunks ->
        ioProperty (readAll 1000000 chunks >>= \r -> pure (r === (ls, EndOfStream)))
  prop "a stream that ends within a line says so" $
    forAll (genLine `suchThat` (not . Bytes.null)) $ \l ->
      ioProperty (readAll 1000000 ["whole\n", l] >>= \r -> pure (r === (["whole"], CutLine)))
  prop "a line of the limit passes, one byte more does not, however it is cut" $
    forAll (choose (1, 50)) $ \n ->
      forAll (genChunks (Bytes.replicate n 97 <> "\n" <> Bytes.replicate (n + 1) 97 <> "\n")) $ \chunks ->
        ioProperty (readAll n chunks >>= \r -> pure (r === ([Bytes.replicate n 97], LineTooLong n)))
  it "an endless line is given up at the limit" $ do
    reader <- newLineReader 100000 (pure (Bytes.replicate 4096 97))
    nextLine reader `shouldReturn` Left (LineTooLong 100000)
