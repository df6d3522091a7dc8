-- | What is told to whoever asked, on the way to the answer: to a person (Callspan.Render.Person) or to a program
-- (Callspan.Render.Json).
module Callspan.Notice
  ( Notice (..),
  )
where

import Callspan.Agent.Types (Ending, Step)
import Callspan.Ipc.Message (LogRecord, ToolCall, ToolProgress)
import Data.Text (Text)

data Notice
  = -- | The sentence, and the names of the tools that there are.
    Question Text [Text]
  | Progress Step
  | -- | How far this call has come.
    Progressed ToolCall ToolProgress
  | -- | The tool of this call logged something.
    Logged ToolCall LogRecord
  | Ended Ending
  | -- | Something is not as it should be, but goes on.
    Warning Text
  | -- | A server that we started died of this and is started again, for this time.
    Restarting Text Text Int
  | -- | A line that a server wrote on its stderr.
    ServerSaid Text Text
  deriving stock (Show, Eq)
