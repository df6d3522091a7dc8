-- | @callspan init@: a project to start from, copied out of the templates that come with the program. A template is a
-- directory of files that work as they are, so that nothing has to be filled in and its own test can test it. What
-- there is to say of it is said in its README: the title, and in the first block of commands what to do first.
module Callspan.Init
  ( InitOptions (..),
    Template (..),
    Outcome (..),
    initialise,
    findTemplates,
    listTemplates,
    makeProject,
    renderOutcome,
  )
where

import Callspan.Config (Problem (..))
import Control.Exception (IOException, displayException, onException, try)
import Control.Monad (filterM, forM, mfilter, when)
import Control.Monad.IO.Class (liftIO)
import Control.Monad.Trans.Except (ExceptT (..), runExceptT, throwE)
import Data.ByteString qualified as Bytes
import Data.Char (isAlphaNum)
import Data.Foldable (find, for_)
import Data.List (isPrefixOf, sort)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8With)
import Data.Text.Encoding.Error (lenientDecode)
import GHC.IO.Exception (ioe_description)
import System.Directory (createDirectory, doesDirectoryExist, doesFileExist, listDirectory, removeDirectory, removePathForcibly)
import System.Environment (getExecutablePath, lookupEnv)
import System.FilePath (dropTrailingPathSeparator, takeDirectory, (</>))
import System.IO.Error (isAlreadyExistsError, isDoesNotExistError)

-- | @callspan init@ as it was typed.
data InitOptions = InitOptions
  { initTemplate :: Maybe String,
    initDirectory :: Maybe FilePath,
    initList :: Bool
  }
  deriving stock (Show, Eq)

data Template = Template
  { templateName :: String,
    templateTitle :: Text,
    -- | Commands, to be typed in the new directory.
    templateFirst :: [Text]
  }
  deriving stock (Show, Eq)

data Outcome
  = Listed [Template]
  | Made Template FilePath
  deriving stock (Show, Eq)

initialise :: InitOptions -> IO (Either Problem Outcome)
initialise options = runExceptT $ do
  templates <- ExceptT findTemplates
  case (initList options, initTemplate options) of
    (True, Just _) -> throwE (Usage "--list makes nothing, and a template was named" "leave one of them out")
    (False, Just name) -> ExceptT (makeProject templates name (initDirectory options))
    (_, Nothing) -> Listed <$> liftIO (listTemplates templates)

-- | In @CALLSPAN_TEMPLATES@ if that is set, else beside the program, as an installation and a checkout have them.
findTemplates :: IO (Either Problem FilePath)
findTemplates =
  lookupEnv "CALLSPAN_TEMPLATES" >>= \case
    Just directory -> do
      found <- holds directory
      pure (if found then Right directory else Left (missing ("in CALLSPAN_TEMPLATES (" <> Text.pack directory <> ")") "unset it, or set it to the directory of the templates"))
    Nothing -> do
      root <- takeDirectory . takeDirectory <$> getExecutablePath
      found <- filterM holds [root </> "share" </> "callspan" </> "templates", root </> "templates"]
      pure $ case found of
        directory : _ -> Right directory
        [] -> Left (missing ("beside callspan, in " <> Text.pack root) "install it anew, or set CALLSPAN_TEMPLATES to the directory of the templates")
  where
    -- A directory of that name can be anybody's.
    holds directory = doesFileExist (directory </> "tools" </> "README.md")
    missing place = Environment ("there are no templates " <> place)

listTemplates :: FilePath -> IO [Template]
listTemplates directory = do
  names <- sort <$> listDirectory directory
  described <- filterM (\name -> doesFileExist (directory </> name </> "README.md")) names
  forM described $ \name -> describe name . decodeUtf8With lenientDecode <$> Bytes.readFile (directory </> name </> "README.md")
  where
    describe name text = Template name (title (Text.lines text)) (block (Text.lines text))
    title = maybe "" (Text.drop 2) . find ("# " `Text.isPrefixOf`)
    block = takeWhile (/= "```") . drop 1 . dropWhile (/= "```sh")

-- | Copies the template into a directory that is new or empty: all of it, or nothing is left of it.
makeProject :: FilePath -> String -> Maybe FilePath -> IO (Either Problem Outcome)
makeProject templates name given = runExceptT $ do
  known <- liftIO (listTemplates templates)
  template <- maybe (throwE (unknown known)) pure (find ((== name) . templateName) known)
  target <- maybe (throwE (Usage "no directory was given" (Text.pack ("callspan init " <> name <> " DIR")))) pure (mfilter (not . null) given)
  fresh <- ExceptT (claim target)
  ExceptT $
    try (fill target `onException` takeBack fresh target) >>= \case
      Left (e :: IOException) -> pure (Left (Environment ("nothing was made: " <> Text.pack (displayException e)) "see that it can be read, and the new directory written"))
      Right () -> pure (Right (Made template target))
  where
    fill target = copyTree (templates </> name) target >> removeDirectory (target </> claimed)
    unknown known = Usage ("there is no template " <> Text.pack name) ("take one of: " <> Text.intercalate ", " (map (Text.pack . templateName) known))

-- | Makes the directory, or sees that it is empty; True: it is new. It is ours from there on: of several that fill it at
-- once the others find the claim in it.
claim :: FilePath -> IO (Either Problem Bool)
claim target =
  try (createDirectory target) >>= \case
    Right () -> take' True
    Left e
      | isAlreadyExistsError e -> doesDirectoryExist target >>= \directory -> if directory then take' False else pure (taken "is there and no directory")
      | isDoesNotExistError e -> pure (Left (Usage ("there is no directory to make " <> shown <> " in") ("make it first: mkdir -p " <> quoted (takeDirectory (dropTrailingPathSeparator target)))))
      | otherwise -> pure (unwritable e)
  where
    shown = Text.pack target
    take' fresh =
      try (takeEmpty fresh) >>= \case
        Left e
          | isAlreadyExistsError e -> pure (taken "is not empty")
          | otherwise -> unwritable e <$ when fresh (removeDirectory target)
        Right outcome -> pure outcome
    -- Another may have filled it, and gone, between the look and the claim.
    takeEmpty fresh =
      listDirectory target >>= \case
        _ : _ -> pure (taken "is not empty")
        [] -> do
          createDirectory (target </> claimed)
          found <- listDirectory target
          if found == [claimed] then pure (Right fresh) else taken "is not empty" <$ removeDirectory (target </> claimed)
    taken why = Left (Usage (shown <> " " <> why) "give a directory that is not there yet, or an empty one")
    unwritable :: IOException -> Either Problem Bool
    unwritable e = Left (Environment (shown <> " cannot be made: " <> Text.pack (ioe_description e)) "give a directory in a place where you can write")

-- | What stands in a directory while it is filled.
claimed :: FilePath
claimed = ".callspan-init"

-- | Files are made anew, not copied with their modes: those of an installation may be nobody's to write.
copyTree :: FilePath -> FilePath -> IO ()
copyTree from to = do
  names <- filter (`notElem` leftBehind) <$> listDirectory from
  for_ names $ \name -> do
    directory <- doesDirectoryExist (from </> name)
    if directory
      then createDirectory (to </> name) >> copyTree (from </> name) (to </> name)
      else Bytes.readFile (from </> name) >>= Bytes.writeFile (to </> name)

-- | What building and testing a template in its place leaves there; the .gitignore of each says the same to git.
leftBehind :: [FilePath]
leftBehind = [".pytest_cache", ".ruff_cache", ".venv", "__pycache__", "_build", "dist-newstyle", "node_modules"]

-- | The directory was new or empty, so that all that is in it is ours.
takeBack :: Bool -> FilePath -> IO ()
takeBack fresh target = do
  listDirectory target >>= mapM_ (removePathForcibly . (target </>))
  when fresh (removeDirectory target)

renderOutcome :: Outcome -> Text
renderOutcome = \case
  Listed templates ->
    let width = maximum (0 : map (length . templateName) templates)
     in Text.unlines [Text.justifyLeft width ' ' (Text.pack (templateName t)) <> "  " <> templateTitle t | t <- templates]
  Made template target ->
    Text.unlines $
      ["made " <> Text.pack target <> " from the template " <> Text.pack (templateName template) <> "; next:", "  cd " <> quoted (aside target)]
        <> map ("  " <>) (templateFirst template)
  where
    -- cd would take it for an option.
    aside path = if "-" `isPrefixOf` path then "." </> path else path

-- | As a shell takes it.
quoted :: FilePath -> Text
quoted path
  | all plain path = Text.pack path
  | otherwise = "'" <> Text.replace "'" "'\\''" (Text.pack path) <> "'"
  where
    plain c = isAlphaNum c || c `elem` ("/._-+" :: String)
