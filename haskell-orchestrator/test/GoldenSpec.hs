-- | The vectors that Rust and Haskell share: whatever one writes, the other reads.
module GoldenSpec (spec) where

import Callspan.Ipc.Frame
import Control.Exception (IOException, try)
import Control.Monad (forM_)
import Data.Aeson (FromJSON (..), Value, withObject, (.!=), (.:), (.:?))
import Data.Aeson qualified as Aeson
import Data.ByteString.Char8 qualified as Bytes
import Data.ByteString.Lazy qualified as Lazy
import Data.Text (Text)
import Data.Text qualified as Text
import Test.Hspec

-- | A name, the frame as our servers write it, and other spellings of the same frame.
data Vector = Vector Text Value [Value]

instance FromJSON Vector where
  parseJSON = withObject "vector" $ \o -> Vector <$> o .: "name" <*> o .: "json" <*> o .:? "alt" .!= []

spec :: Spec
spec = do
  vectors <- runIO (try (readVectors "../ipc/testdata/golden.jsonl") >>= either (\(e :: IOException) -> [] <$ print e) pure)
  it "are there" $ length vectors `shouldSatisfy` (> 0)
  forM_ vectors $ \(Vector name json alternatives) ->
    it (Text.unpack name) $ do
      frame <- decoded json
      Aeson.toJSON frame `shouldBe` json
      forM_ alternatives $ \alternative -> decoded alternative `shouldReturn` frame

decoded :: Value -> IO Frame
decoded = either (fail . Text.unpack) pure . decodeFrame . Lazy.toStrict . Aeson.encode

-- | cabal runs tests in the package's directory, so the path is relative to that.
readVectors :: FilePath -> IO [Vector]
readVectors path = do
  lines' <- Bytes.lines <$> Bytes.readFile path
  either fail pure (traverse Aeson.eitherDecodeStrict' (filter (not . Bytes.null) lines'))
