-- | The ways in which a server is lost for good, each with what to do about it.
module Callspan.Supervise.Failure
  ( ServerFailure (..),
    diedAtStart,
    diedAgain,
    notYet,
    unreachable,
  )
where

import Callspan.Supervise.Child (Program (..))
import Control.Exception (Exception)
import Data.Text (Text)
import Data.Text qualified as Text
import System.Process (showCommandForUser)

-- | It cannot be reached, for good: what is wrong, and what to do about it.
data ServerFailure = ServerFailure Text Text
  deriving stock (Show)

instance Exception ServerFailure

-- | It ended, for this reason, before it listened, and had said this.
diedAtStart :: Program -> Text -> [Text] -> ServerFailure
diedAtStart program reason = died program (reason <> " before it listened")

-- | It ended again, after so many restarts.
diedAgain :: Program -> Text -> Int -> [Text] -> ServerFailure
diedAgain program reason restarts = died program (reason <> ", after " <> Text.pack (show restarts) <> " restarts")

died :: Program -> Text -> [Text] -> ServerFailure
died program how said =
  ServerFailure
    (Text.intercalate "\n  " ((programName program <> " " <> how <> "; it said:") : (if null said then ["(nothing)"] else said)))
    ("try it by hand: " <> Text.pack (showCommandForUser (programPath program) (programArguments program)))

-- | One that we started lives, but does not listen.
notYet :: Text -> ServerFailure
notYet name = ServerFailure (name <> " does not listen yet, and the time is over") "allow more with --timeout SECONDS"

-- | Nobody listens on the socket that we were given, for this reason.
unreachable :: Text -> FilePath -> Text -> ServerFailure
unreachable name socket why =
  ServerFailure
    (name <> " cannot be reached at " <> Text.pack socket <> ": " <> why)
    ("start it: " <> name <> " --socket " <> Text.pack socket)
