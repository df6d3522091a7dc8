-- | How one protobuf message looks in proto3 JSON, described once for both directions.
--
-- aeson's generic instances know neither proto3's defaults (a field at its default is left out, a missing or null one
-- is read as it), nor its two spellings of a name, nor numbers in quotes. Writing every instance twice, by hand, lets
-- reading and writing drift apart. So a message is a list of 'Fields', and the instances follow from it. Unknown fields
-- are ignored: a newer server may say more than we understand.
module Callspan.Ipc.Fields
  ( Fields,
    Schema (..),
    Proto (..),
    protoToJSON,
    protoParseJSON,
    Shape (..),
    field,
    lookupField,
    text,
    bool,
    word32,
    word64,
    float,
    double,
    jsonText,
    message,
    optional,
    repeated,
    dictionary,
  )
where

import Data.Aeson (Object, Value (..), object, withObject, (<?>))
import Data.Aeson qualified as Aeson
import Data.Aeson.Key (Key)
import Data.Aeson.Key qualified as Key
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Aeson.Types (JSONPathElement (..), Pair, Parser)
import Data.ByteString.Lazy qualified as Lazy
import Data.Char (toUpper)
import Data.Either (fromRight)
import Data.Foldable (toList)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Maybe (isNothing)
import Data.Scientific (Scientific, fromFloatDigits, toBoundedInteger, toRealFloat)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8')
import Data.Word (Word32, Word64)
import Text.Read (readMaybe)

-- | The fields of a message @s@, of which an @a@ is read.
data Fields s a = Fields (Object -> Parser a) (s -> [Pair])

instance Functor (Fields s) where
  fmap f (Fields reads' writes) = Fields (fmap f . reads') writes

instance Applicative (Fields s) where
  pure a = Fields (const (pure a)) (const [])
  Fields readF writeF <*> Fields readA writeA =
    Fields (\o -> readF o <*> readA o) (\s -> writeF s <> writeA s)

-- | A message of the protocol: its name, for errors, and its fields.
data Schema a = Schema String (Fields a a)

class Proto a where
  schema :: Schema a

protoToJSON :: Proto a => a -> Value
protoToJSON a = case schema of Schema _ (Fields _ writes) -> object (writes a)

protoParseJSON :: Proto a => Value -> Parser a
protoParseJSON value = case schema of Schema name (Fields reads' _) -> withObject name reads' value

-- | How one field's value is read and written, what a missing one means, and when it is left out.
data Shape a = Shape
  { shapeAbsent :: Maybe a,
    shapeOmit :: a -> Bool,
    shapeRead :: Value -> Parser a,
    shapeWrite :: a -> Value
  }

field :: Shape a -> Key -> (s -> a) -> Fields s a
field shape key get = Fields reads' writes
  where
    reads' o = case lookupField key o of
      Nothing -> maybe (fail ("missing field " <> Key.toString key)) pure (shapeAbsent shape)
      Just value -> shapeRead shape value <?> Key key
    writes s
      | shapeOmit shape (get s) = []
      | otherwise = [(key, shapeWrite shape (get s))]

-- | A field by its name as the .proto has it, or by its lowerCamelCase name; null counts as missing.
lookupField :: Key -> Object -> Maybe Value
lookupField key o = case KeyMap.lookup key o of
  Just Null -> Nothing
  Just value -> Just value
  Nothing -> case KeyMap.lookup (Key.fromString (camel (Key.toString key))) o of
    Just Null -> Nothing
    found -> found
  where
    camel ('_' : c : rest) = toUpper c : camel rest
    camel (c : rest) = c : camel rest
    camel [] = []

plain :: Eq a => a -> (Value -> Parser a) -> (a -> Value) -> Shape a
plain absent = Shape (Just absent) (== absent)

text :: Shape Text
text = plain "" Aeson.parseJSON Aeson.String

bool :: Shape Bool
bool = plain False Aeson.parseJSON Aeson.Bool

word32 :: Shape Word32
word32 = plain 0 whole (Aeson.Number . fromIntegral)

-- | proto3 JSON writes 64-bit integers in quotes.
word64 :: Shape Word64
word64 = plain 0 whole (Aeson.String . Text.pack . show)

-- | A whole number within the type's bounds, bare or in quotes.
whole :: forall a. (Integral a, Bounded a, Show a) => Value -> Parser a
whole value = do
  number <- scientific value
  maybe (fail ("not a whole number in 0.." <> show (maxBound :: a))) pure (toBoundedInteger number)

scientific :: Value -> Parser Scientific
scientific = \case
  Aeson.Number n -> pure n
  Aeson.String s | Just n <- readMaybe (Text.unpack s) -> pure n
  other -> fail ("expected a number, not " <> shortly other)

float :: Shape Float
float = floating

double :: Shape Double
double = floating

floating :: RealFloat a => Shape a
floating = plain 0 parse write
  where
    parse = \case
      Aeson.String "NaN" -> pure (0 / 0)
      Aeson.String "Infinity" -> pure (1 / 0)
      Aeson.String "-Infinity" -> pure (-1 / 0)
      other -> toRealFloat <$> scientific other
    write x
      | isNaN x = Aeson.String "NaN"
      | isInfinite x = Aeson.String (if x > 0 then "Infinity" else "-Infinity")
      | otherwise = Aeson.Number (fromFloatDigits x)

-- | JSON text: written as a string, so that key order and integers survive; read from a string or from any JSON value
-- written in its place (whose key order aeson does not keep: our servers always send the string).
jsonText :: Shape Text
jsonText = plain "" parse Aeson.String
  where
    parse = \case
      Aeson.String s -> pure s
      other -> either (fail . show) pure (decodeUtf8' (Lazy.toStrict (Aeson.encode other)))

-- | A message within a message. It has no default: its presence is told by 'optional' or 'repeated' around it.
message :: Proto a => Shape a
message = Shape Nothing (const False) protoParseJSON protoToJSON

-- | Presence matters: written even at its default.
optional :: Shape a -> Shape (Maybe a)
optional shape = Shape (Just Nothing) isNothing (fmap Just . shapeRead shape) (maybe Null (shapeWrite shape))

repeated :: Shape a -> Shape [a]
repeated shape = Shape (Just []) null (Aeson.withArray "a list" parse) (Aeson.toJSON . map (shapeWrite shape))
  where
    parse items = sequenceA [shapeRead shape v <?> Index i | (i, v) <- zip [0 ..] (toList items)]

dictionary :: Shape (Map Text Text)
dictionary = plain Map.empty Aeson.parseJSON Aeson.toJSON

shortly :: Value -> String
shortly = take 40 . Text.unpack . fromRight "" . decodeUtf8' . Lazy.toStrict . Aeson.encode
