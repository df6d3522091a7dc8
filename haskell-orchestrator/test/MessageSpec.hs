-- | What the golden vectors do not say: defaults, spellings, and that bad input is an error.
module MessageSpec (spec) where

import Callspan.Ipc.Frame
import Callspan.Ipc.Message
import Data.ByteString (ByteString)
import Data.ByteString.Lazy qualified as Lazy
import Data.Either (isLeft)
import Test.Hspec

spec :: Spec
spec = do
  it "reads a missing field, and null, as its default" $
    decodeFrame "{\"id\":3,\"done\":{\"content\":null}}"
      `shouldBe` Right (Frame 3 (Just (BodyDone (Done "" [] "" Nothing "" Nothing [] [] ""))) Nothing)
  it "leaves defaults out" $
    encodeFrame (Frame 1 (Just (BodyPing (Payload ""))) Nothing) `shouldBe` "{\"id\":1,\"ping\":{}}"
  it "ignores what it does not know" $ do
    decodeFrame "{\"id\":3,\"pong\":{\"payload\":\"x\",\"new\":[1]},\"more\":true}"
      `shouldBe` Right (Frame 3 (Just (BodyPong (Payload "x"))) Nothing)
    decodeFrame "{\"id\":3,\"brand_new\":{}}" `shouldBe` Right (Frame 3 Nothing Nothing)
  it "reads both spellings of a name" $
    decodeFrame "{\"id\":3,\"callTool\":{\"callId\":\"c\"}}" `shouldBe` decodeFrame "{\"id\":3,\"call_tool\":{\"call_id\":\"c\"}}"
  it "takes JSON in place of JSON text, and writes text" $ do
    let frame = Frame 5 (Just (BodyCallTool (CallTool "now" "{\"a\":9007199254740993}" ""))) Nothing
    decodeFrame "{\"id\":5,\"call_tool\":{\"name\":\"now\",\"arguments\":{\"a\":9007199254740993}}}" `shouldBe` Right frame
    decodeFrame (Lazy.toStrict (encodeFrame frame)) `shouldBe` Right frame
  it "keeps JSON text as it is, key order and spaces included" $
    (Lazy.toStrict . encodeFrame <$> decodeFrame ordered) `shouldBe` Right ordered
  it "reads codes by name and by number, and an unknown one as UNKNOWN" $ do
    let code c = decodeFrame ("{\"id\":1,\"error\":{\"code\":" <> c <> "}}")
        is c = Right (Frame 1 (Just (BodyError (Error c "" "" 0))) Nothing)
    code "\"NOT_FOUND\"" `shouldBe` is NotFound
    code "5" `shouldBe` is NotFound
    code "\"NEW_CODE\"" `shouldBe` is Unknown
    code "99" `shouldBe` is Unknown
  it "refuses numbers out of range, naming the place" $ do
    decodeFrame "{\"id\":3,\"done\":{\"usage\":{\"prompt_tokens\":-1}}}"
      `shouldBe` Left "Error in $.done.usage['prompt_tokens']: not a whole number in 0..4294967295"
    decodeFrame "{\"id\":1e400000000}" `shouldSatisfy` isLeft
    decodeFrame "{\"id\":1.5}" `shouldSatisfy` isLeft
  it "refuses two bodies, bad UTF-8, and what is no object" $ do
    decodeFrame "{\"id\":3,\"ping\":{},\"pong\":{}}" `shouldSatisfy` isLeft
    decodeFrame "{\"id\":3,\"ping\":{\"payload\":\"\xff\xfe\"}}" `shouldSatisfy` isLeft
    mapM_ ((`shouldSatisfy` isLeft) . decodeFrame) ["", "[]", "{", "null", "{\"id\":1} x"]
  where
    ordered :: ByteString
    ordered = "{\"call_tool\":{\"arguments\":\"{\\\"z\\\": 1,  \\\"a\\\": 9007199254740993}\",\"name\":\"now\"},\"id\":5}"
