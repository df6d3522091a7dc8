-- | Text from outside made fit for a terminal: what could move the cursor, ring, recolour or reorder is shown as an
-- escape instead of being obeyed.
module Callspan.Render.Text
  ( oneLine,
    manyLines,
    shorten,
  )
where

import Data.Char (GeneralCategory (..), generalCategory, ord)
import Data.Text (Text)
import Data.Text qualified as Text
import Text.Printf (printf)

-- | Everything on one line.
oneLine :: Text -> Text
oneLine = Text.concatMap $ \case
  '\n' -> "\\n"
  '\t' -> "\\t"
  c -> visible c

-- | Lines stay lines; those after the first are indented by this.
manyLines :: Text -> Text -> Text
manyLines indent = Text.intercalate ("\n" <> indent) . map (Text.concatMap visible) . Text.lines

visible :: Char -> Text
visible c
  | generalCategory c `elem` [Control, Format, Surrogate, PrivateUse, LineSeparator, ParagraphSeparator] && c /= '\x200D' =
    Text.pack (printf "\\u{%x}" (ord c))
  | otherwise = Text.singleton c

-- | At most so many characters, saying how many are left out.
shorten :: Int -> Text -> Text
shorten limit text
  | Text.compareLength text limit == GT =
    Text.take limit text <> "… (" <> Text.pack (show (Text.length text - limit)) <> " more characters; --json has all)"
  | otherwise = text
