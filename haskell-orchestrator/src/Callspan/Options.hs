-- | What can be typed after @callspan@, and what is said about it.
module Callspan.Options
  ( Parsed (..),
    parseArguments,
  )
where

import Callspan.Budget
import Callspan.Config (AskOptions (..))
import Callspan.Init (InitOptions (..))
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Version (showVersion)
import Options.Applicative
import Paths_callspan (version)
import System.Exit (ExitCode (..))

data Parsed
  = Ask AskOptions
  | Init InitOptions
  | -- | Help or the version.
    ShowText String
  | -- | What was wrong, and how to fix it.
    Misused Text Text

parseArguments :: [String] -> Parsed
parseArguments arguments = case execParserPure (prefs (columns 100)) commandLine arguments of
  Success parsed -> parsed
  Failure failure -> case renderFailure failure "callspan" of
    (text, ExitSuccess) -> ShowText (text <> "\n")
    (text, ExitFailure _) -> misused (takeWhile (/= '\n') text)
  CompletionInvoked _ -> misused "shell completion is not offered"
  where
    misused what = Misused (Text.pack what) (Text.pack ("see " <> help'))
    help' = unwords (["callspan"] <> filter (`elem` ["ask", "init"]) (take 1 arguments) <> ["--help"])

commandLine :: ParserInfo Parsed
commandLine =
  info
    (hsubparser (ask <> initialise) <**> versionOption <**> helper)
    ( fullDesc
        <> progDesc "One sentence → a tool call → a sandboxed Python tool → an answer."
        <> footer "Try: callspan ask \"How many miles is 12 km?\""
    )
  where
    ask = command "ask" (info (Ask <$> askOptions) (progDesc askDescription <> footer askFooter))
    initialise = command "init" (info (Init <$> initOptions) (progDesc initDescription <> footer initFooter))
    versionOption = infoOption ("callspan " <> showVersion version) (long "version" <> help "Show the version")
    askDescription =
      "Answers QUESTION with the help of tools: asks the model what to call, runs that in the sandbox, tells the model "
        <> "the result, and prints each step. Starts both servers unless their sockets are given."
    askFooter =
      "Exit codes: 0 answered, 1 failed (stderr says why), 2 wrong usage. rust-inference and python-executor are looked "
        <> "for in CALLSPAN_BIN_DIR if it is set, else beside callspan, else on PATH. NO_COLOR is honoured."
    initDescription = "Makes DIR, a project to start from: tools, an agent, or a client in some language, each with its test."
    initFooter =
      "Try: callspan init tools mytools. Exit codes: 0 done, 1 failed, 2 wrong usage. The templates are looked for in "
        <> "CALLSPAN_TEMPLATES if it is set, else beside callspan."

askOptions :: Parser AskOptions
askOptions =
  AskOptions
    <$> strArgument (metavar "QUESTION" <> help "A sentence; quote it")
    <*> optional (path "tools" "DIR" "Python files with the tools (default: python-executor's own examples)")
    <*> optional (path "model" "DIR" "A model's directory in Hugging Face's layout (default: the built-in model)")
    <*> switch (long "json" <> help "Print events as JSON lines instead of text for a person")
    <*> atLeastOne "max-rounds" "N" (budgetRounds defaultBudget) 1000 "Ask the model at most N times"
    <*> atLeastOne "timeout" "SECONDS" 120 86400 "Give up after so long"
    <*> optional (path "inference" "SOCK" "Use the rust-inference that listens here")
    <*> optional (path "executor" "SOCK" "Use the python-executor that listens here")
    <*> switch (long "tap" <> help "Show every frame on stderr, as ipc tap sees it")
    <*> switch (long "verbose" <> short 'v' <> help "Show what the servers say, and how far tools have come and what they log")
  where
    path name meta what = strOption (long name <> metavar meta <> help what)
    atLeastOne name meta standard most what =
      option (auto >>= within most) (long name <> metavar meta <> value standard <> showDefault <> help what)

-- | Without a template those there are are listed, so that nobody needs to know --list.
initOptions :: Parser InitOptions
initOptions =
  InitOptions
    <$> optional (strArgument (metavar "TEMPLATE" <> help "Which one; without it they are listed"))
    <*> optional (strArgument (metavar "DIR" <> help "A directory that is not there yet, or an empty one"))
    <*> switch (long "list" <> help "List the templates")

within :: Int -> Integer -> ReadM Int
within most n
  | n < 1 || n > toInteger most = readerError ("expected a number from 1 to " <> show most <> ", not " <> show n)
  | otherwise = pure (fromInteger n)
