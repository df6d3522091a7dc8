-- | The command line: what is understood, and that a mistake is named before anything starts.
module OptionsSpec (spec) where

import Callspan.Config
import Callspan.Init
import Callspan.Options
import Data.Text qualified as Text
import Test.Hspec

spec :: Spec
spec = do
  it "reads a question and its options, in any order" $
    case parseArguments ["ask", "--json", "q", "--max-rounds", "7", "--executor", "/s"] of
      Ask o -> (askQuestion o, askJson o, askMaxRounds o, askExecutor o, askInference o) `shouldBe` ("q", True, 7, Just "/s", Nothing)
      _ -> expectationFailure "not understood"
  it "reads a template and where it goes, or neither" $ do
    [o | Init o <- [parseArguments ("init" : as) | as <- [[], ["--list"], ["tools", "dir"]]]]
      `shouldBe` [InitOptions Nothing Nothing False, InitOptions Nothing Nothing True, InitOptions (Just "tools") (Just "dir") False]
    misused ["init", "tools", "dir", "more"] `shouldBe` Just ("Invalid argument `more'", "see callspan init --help")
  it "names what is wrong and where to look, in a line each" $ do
    misused ["ask"] `shouldBe` Just ("Missing: QUESTION", "see callspan ask --help")
    misused ["--nope"] `shouldBe` Just ("Invalid option `--nope'", "see callspan --help")
    misused ["ask", "q", "--max-rounds", "0"] `shouldBe` Just ("option --max-rounds: expected a number from 1 to 1000, not 0", "see callspan ask --help")
    misused ["ask", "q", "--max-rounds", "18446744073709551617"]
      `shouldBe` Just ("option --max-rounds: expected a number from 1 to 1000, not 18446744073709551617", "see callspan ask --help")
    misused ["ask", "q", "--timeout", "soon"] `shouldSatisfy` maybe False (("--timeout" `Text.isInfixOf`) . fst)
  it "prints help and version as data" $
    [case parseArguments as of ShowText t -> not (null t); _ -> False | as <- [["--help"], ["ask", "--help"], ["init", "--help"], ["--version"]]]
      `shouldBe` [True, True, True, True]
  it "refuses an empty question, and one that is not UTF-8" $ do
    planned (options "  ") >>= (`shouldSatisfy` usage "the question is empty")
    planned (options "\xdcff") >>= (`shouldSatisfy` usage "the question is not UTF-8")
  it "refuses directories that do not exist, and options of a server that it would not start" $ do
    planned (options "q") {askModel = Just "/proc/nonexistent"} >>= (`shouldSatisfy` usage "--model: there is no directory /proc/nonexistent")
    planned (options "q") {askTools = Just "/", askExecutor = Just "/s"}
      >>= (`shouldSatisfy` usage "--tools is for a server that callspan starts, --executor for one that runs already")
  where
    misused as = case parseArguments as of Misused what how -> Just (what, how); _ -> Nothing
    planned = fmap (either Just (const Nothing)) . makePlan
    options q = AskOptions q Nothing Nothing False 4 120 Nothing Nothing False False
    usage what = \case Just (Usage w _) -> w == what; _ -> False
