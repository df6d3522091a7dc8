-- | The agent under any model, any executor and any order of events.
module AgentSpec (spec) where

import Callspan.Agent
import Callspan.Agent.Types
import Callspan.Budget
import Callspan.Ipc.Message
import Data.Aeson qualified as Aeson
import Data.List (mapAccumL)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)
import Test.Hspec
import Test.Hspec.QuickCheck (modifyMaxSuccess, prop)
import Test.QuickCheck hiding (GaveUp)

listed :: [Tool]
listed = [Tool "convert" "Convert units" "{}", Tool "now" "The time" "{}"]

-- | Everything that came of a list of events, in order.
actions :: Budget -> [Event] -> [Action]
actions budget events = concat (snd (mapAccumL step (start budget listed) (Asked "a question" : events)))

-- | Plays the model and the executor: gives each action that waits its answer from the two streams, until the end.
play :: Budget -> [Done] -> [CallOutcome] -> [Action]
play budget dones outcomes = go (step (start budget listed) (Asked "a question")) (cycle dones) (cycle outcomes)
  where
    go (st, acts) ds os =
      acts <> case (lastOf acts, ds, os) of
        (Just (AskModel _), d : ds', _) -> go (step st (Generated d)) ds' os
        (Just (RunTool call), _, o : os') -> go (step st (CallEnded (callId call) o)) ds os'
        _ -> []
    lastOf = foldl (const Just) Nothing

newtype Model = Model [Done] deriving stock (Show)

instance Arbitrary Model where
  arbitrary = Model <$> listOf1 genDone
  shrink (Model ds) = [Model ds' | ds' <- shrinkList (const []) ds, not (null ds')]

newtype Outcomes = Outcomes [CallOutcome] deriving stock (Show)

instance Arbitrary Outcomes where
  arbitrary = Outcomes <$> listOf1 genOutcome

newtype Events = Events [Event] deriving stock (Show)

instance Arbitrary Events where
  arbitrary = Events <$> listOf genEvent
  shrink (Events es) = Events <$> shrinkList (const []) es

newtype Limits = Limits Budget deriving stock (Show)

instance Arbitrary Limits where
  arbitrary = Limits <$> (Budget <$> choose (1, 6) <*> choose (0, 10) <*> choose (1, 3) <*> choose (0, 2))

genName, genArguments, genText :: Gen Text
genName = elements ["convert", "now", "rm_rf", "", "Convert"]
genArguments = elements ["{}", "{\"a\":1}", "{ \"a\" : 1 }", "", "[]", "nonsense", "{\"a\":9007199254740993}", "null"]
genText = elements ["", " ", "It is 7.", "{\"error\":\"x\"}"]

genCall :: Gen ToolCall
genCall = ToolCall <$> elements ["", "call_1", "x"] <*> genName <*> genArguments

genDone :: Gen Done
genDone = do
  made <- frequency [(1, pure []), (4, choose (1, 5) >>= (`vectorOf` genCall))]
  ending <- elements ["stop", "length", "tool_calls", "invalid_call", "", "nonsense"]
  content <- genText
  pure (Done content made ending Nothing "" Nothing [] [] "")

genOutcome :: Gen CallOutcome
genOutcome =
  oneof
    [ Ran <$> (result <$> elements ["ok", "timeout", "exception", ""] <*> genArguments),
      pure (Refused (Error NotFound "no" "" 0)),
      pure (OutcomeUnknown "killed")
    ]

result :: Text -> Text -> ToolResult
result outcome value = ToolResult outcome value Nothing "" "" False 0 0 0 Nothing "" "" [] "" 0 ""

genEvent :: Gen Event
genEvent =
  frequency
    [ (2, Asked <$> genText),
      (6, Generated <$> genDone),
      (6, CallEnded <$> elements ["call_1", "call_2", "call_3", "x", ""] <*> genOutcome),
      (1, pure (GaveUp EmptyAnswer)),
      (1, pure (TooLong EmptyAnswer))
    ]

say :: Text -> Done
say content = Done content [] "stop" Nothing "" Nothing [] [] ""

calls :: [(Text, Text)] -> Done
calls cs = Done "" [ToolCall "call_1" n a | (n, a) <- cs] "tool_calls" Nothing "" Nothing [] [] ""

spec :: Spec
spec = modifyMaxSuccess (const 1000) $ do
  describe "for any sequence of events" $ do
    prop "asks the model at most as often as its budget allows" $ \(Limits b) (Events es) ->
      length [() | AskModel _ <- actions b es] <= budgetRounds b
    prop "runs no tool that is not listed" $ \(Limits b) (Events es) ->
      and [callName c `elem` map toolName listed | RunTool c <- actions b es]
    prop "runs at most as many calls as its budget allows" $ \(Limits b) (Events es) ->
      length [() | RunTool _ <- actions b es] <= budgetCalls b
    prop "runs nothing whose arguments are not an object" $ \(Limits b) (Events es) ->
      and [isObject (callArguments c) | RunTool c <- actions b es]
    prop "says nothing after its end" $ \(Limits b) (Events es) ->
      all (\(a, rest) -> not (isFinish a) || null rest) (withRest (actions b es))
    prop "waits for one thing at a time" $ \(Limits b) (Events es) ->
      all ((<= 1) . length . filter waits) (snd (mapAccumL step (start b listed) es))

  describe "with any model and any executor" $ do
    prop "comes to an end, once" $ \(Limits b) (Model ds) (Outcomes os) ->
      length (filter isFinish (play b ds os)) === 1
    prop "tells the model exactly one result for each call, in order" $ \(Limits b) (Model ds) (Outcomes os) ->
      conjoin
        [ answeredIds ms === [callId c | m <- ms, c <- messageToolCalls m]
          | AskModel ms <- play b ds os
        ]
    prop "gives every call an id of its own" $ \(Limits b) (Model ds) (Outcomes os) ->
      conjoin
        [ let ids = [callId c | m <- ms, c <- messageToolCalls m] in length ids === length (dedupe ids)
          | AskModel ms <- play b ds os
        ]
    prop "tells the model nothing but JSON about results" $ \(Limits b) (Model ds) (Outcomes os) ->
      conjoin
        [ counterexample (show m) (isJson (messageContent m))
          | AskModel ms <- play b ds os,
            m <- ms,
            messageRole m == "tool"
        ]
    prop "shows a result for each call that it ran" $ \(Limits b) (Model ds) (Outcomes os) ->
      let acts = play b ds os
       in [callId c | RunTool c <- acts]
            === [callId c | Show (StepResult c o) <- acts, not (refusedHere o acts c)]

  it "carries the question, the call and its result to the answer" $ do
    let acts = play defaultBudget [calls [("convert", "{\"value\":12}")], say "7.46 miles"] [Ran (result "ok" "{\"value\":7.46}")]
        call = ToolCall "call_1" "convert" "{\"value\":12}"
    [ms | AskModel ms <- acts]
      `shouldBe` [ [Message "user" "a question" [] "" ""],
                   [ Message "user" "a question" [] "" "",
                     Message "assistant" "" [call] "" "",
                     Message "tool" "{\"value\":7.46}" [] "call_1" "convert"
                   ]
                 ]
    [e | Finish e <- acts] `shouldBe` [Answered "7.46 miles" False]
  it "tells the model which tools there are when it calls another" $ do
    let acts = play defaultBudget [calls [("rm_rf", "{}")], say "no"] []
    [messageContent m | AskModel ms <- acts, m <- ms, messageRole m == "tool"]
      `shouldBe` ["{\"error\":\"there is no tool rm_rf; there are: convert, now\"}"]
  it "stops when the same call is made again and again, however it is spelt" $ do
    let acts = play defaultBudget [calls [("now", "{\"a\":1}")], calls [("now", "{ \"a\" : 1 }")]] [Ran (result "ok" "{}")]
    length [() | RunTool _ <- acts] `shouldBe` 2
    [n | Finish (Failed (Repeating n _)) <- acts] `shouldBe` [3]
  it "runs no more calls than its budget allows, and tells the model so" $ do
    let three = calls [("now", "{\"a\":1}"), ("now", "{\"a\":2}"), ("now", "{\"a\":3}")]
        acts = play defaultBudget {budgetCalls = 2} [three, say "done"] [Ran (result "ok" "{}")]
    [callArguments c | RunTool c <- acts] `shouldBe` ["{\"a\":1}", "{\"a\":2}"]
    [messageContent m | AskModel ms <- acts, m <- ms, messageToolCallId m == "call_3"]
      `shouldBe` ["{\"error\":\"not run: more than 2 calls for one question\"}"]
  it "takes no other call's result for the one that it waits for" $ do
    let unrelated = CallEnded "call_2" (Ran (result "ok" "{\"wrong\":1}"))
        waiting = [Generated (calls [("now", "{}")])]
    actions defaultBudget (waiting <> [unrelated]) `shouldBe` actions defaultBudget waiting
  it "does not run calls in the last round" $ do
    let acts = play defaultBudget {budgetRounds = 1} [calls [("now", "{}")]] []
    acts `shouldSatisfy` all (\case RunTool _ -> False; _ -> True)
    [e | Finish e <- acts] `shouldBe` [Failed (TooManyRounds 1)]
  it "tells the model once that its call cannot be read, then gives up" $ do
    let bad = (say "<broken") {doneFinishReason = "invalid_call", doneError = Just (Error InvalidArgument "at 7: no }" "" 0)}
        acts = play defaultBudget [bad] []
    [messageRole m | AskModel ms <- acts, m <- ms] `shouldBe` ["user", "user", "assistant", "user"]
    [e | Finish e <- acts] `shouldBe` [Failed (Unreadable "at 7: no }")]
  it "tells the model that a lost call's outcome is unknown, and does not repeat it" $ do
    let acts = play defaultBudget [calls [("now", "{}")], say "I do not know"] [OutcomeUnknown "python-executor was killed"]
    length [() | RunTool _ <- acts] `shouldBe` 1
    [messageContent m | AskModel ms <- acts, m <- ms, messageRole m == "tool"]
      `shouldBe` ["{\"error\":\"outcome unknown: python-executor was killed\"}"]
  it "leaves a result out that is too long for the model, the longest first, and tells it so" $ do
    let ran ident value = CallEnded ident (Ran (result "ok" value))
        (short, long) = ("\"" <> Text.replicate 50 "s" <> "\"", "\"" <> Text.replicate 5000 "l" <> "\"")
        acts =
          actions
            defaultBudget
            [ Generated (calls [("now", "{\"a\":1}"), ("convert", "{\"a\":2}")]),
              ran "call_1" short,
              ran "call_2" long,
              TooLong OutOfTokens,
              TooLong OutOfTokens,
              TooLong OutOfTokens
            ]
        told = "{\"error\":\"the result is too long\"}"
    [[messageContent m | m <- ms, messageRole m == "tool"] | AskModel ms <- acts] `shouldBe` [[], [short, long], [short, told], [told, told]]
    [e | Finish e <- acts] `shouldBe` [Failed OutOfTokens]
  it "fails when the question itself is too long" $
    [e | Finish e <- actions defaultBudget [TooLong OutOfTokens]] `shouldBe` [Failed OutOfTokens]
  it "calls an answer that was cut by its name" $
    [e | Finish e <- play defaultBudget [(say "The an") {doneFinishReason = "length"}] []] `shouldBe` [Answered "The an" True]
  it "takes silence for a failure" $
    [e | Finish e <- play defaultBudget [say " "] []] `shouldBe` [Failed EmptyAnswer]
  where
    isFinish = \case Finish _ -> True; _ -> False
    waits = \case Show _ -> False; _ -> True
    withRest xs = [(x, drop n xs) | (n, x) <- zip [1 ..] xs]
    isJson t = case Aeson.eitherDecodeStrict' (encodeUtf8 t) :: Either String Aeson.Value of Right _ -> True; _ -> False
    isObject t = case Aeson.decodeStrict' (encodeUtf8 t) of Just (Aeson.Object _) -> True; _ -> False
    answeredIds ms = [messageToolCallId m | m <- ms, messageRole m == "tool"]
    dedupe = foldr (\x seen -> if x `elem` seen then seen else x : seen) []
    refusedHere o acts c = case o of
      Refused _ -> callId c `notElem` [callId r | RunTool r <- acts]
      _ -> Text.null (callId c)
