-- | The vectors that Rust and Haskell share: whatever one writes, the other reads.
module GoldenSpec (spec) where

import Callspan.Ipc.Frame
import Control.Exception (IOException, try)
import Data.Aeson (FromJSON (..), Value, withObject, (.:))
import Data.Aeson qualified as Aeson
import Data.ByteString.Char8 qualified as Bytes
import Data.ByteString.Lazy qualified as Lazy
import Data.Foldable (for_)
import Data.Maybe (isJust)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)
import System.FilePath ((</>))
import Test.Hspec

-- | A name, and a line.
data Vector = Vector String Text

instance FromJSON Vector where
  parseJSON = withObject "vector" $ \o -> Vector <$> o .: "name" <*> o .: "json"

spec :: Spec
spec = do
  describe "as our servers write them, read and written again" $
    vectors "golden.jsonl" $ \line -> do
      frame <- decoded line
      written <- either fail pure (Aeson.eitherDecodeStrict' (encodeUtf8 line))
      Aeson.toJSON frame `shouldBe` (written :: Value)
  -- What a person may type instead. The text of JSON values in place of JSON text is kept by the servers, which read
  -- such lines; we only have to understand them.
  describe "other spellings, understood" $
    vectors "golden_inputs.jsonl" $ \line -> do
      frame <- decoded line
      frameBody frame `shouldSatisfy` isJust
      decodeFrame (Lazy.toStrict (encodeFrame frame)) `shouldBe` Right frame

-- | One example for each vector of the file.
vectors :: FilePath -> (Text -> Expectation) -> Spec
vectors file check = do
  -- cabal runs tests in the package's directory, so the path is relative to that.
  found <- runIO (try (readVectors ("../ipc/testdata" </> file)))
  it "can be read" $ either (\(e :: IOException) -> Left (show e)) (Right . not . null) found `shouldBe` Right True
  for_ found . mapM_ $ \(Vector name line) -> it name (check line)

decoded :: Text -> IO Frame
decoded = either (fail . Text.unpack) pure . decodeFrame . encodeUtf8

readVectors :: FilePath -> IO [Vector]
readVectors path = do
  lines' <- Bytes.lines <$> Bytes.readFile path
  either fail pure (traverse Aeson.eitherDecodeStrict' (filter (not . Bytes.null) lines'))
