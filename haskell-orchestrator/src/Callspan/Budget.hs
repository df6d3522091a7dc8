-- | How much one question may cost. The model is not trusted to come to an end, so every way to go on for ever has its
-- own limit, and whoever reads an error can tell which one was met.
module Callspan.Budget
  ( Budget (..),
    defaultBudget,
  )
where

-- | Limits of one question.
data Budget = Budget
  { -- | How often the model is asked.
    budgetRounds :: Int,
    -- | How many calls it may make in all; those beyond are answered with an error and not run.
    budgetCalls :: Int,
    -- | How often it may make the same call with the same arguments.
    budgetSameCall :: Int,
    -- | How often it is told that its call could not be read, and may try again.
    budgetUnreadable :: Int
  }
  deriving stock (Show, Eq)

defaultBudget :: Budget
defaultBudget =
  Budget
    { budgetRounds = 4,
      budgetCalls = 16,
      budgetSameCall = 2,
      budgetUnreadable = 1
    }
