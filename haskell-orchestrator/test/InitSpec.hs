-- | A project is made whole or not at all, of a template that is there, in a place that is free.
module InitSpec (spec) where

import Callspan.Config (Problem (..))
import Callspan.Init
import Control.Exception (bracket, bracket_)
import Control.Monad (void)
import Data.List (sort)
import Data.Text (Text)
import Data.Text qualified as Text
import System.Directory
import System.Environment (setEnv, unsetEnv)
import System.FilePath ((</>))
import System.Posix.Files (createSymbolicLink, setFileMode)
import System.Posix.Temp (mkdtemp)
import Test.Hspec

spec :: Spec
spec = around inRoom $ do
  it "copies a template's files, and nothing that building left beside them" $ \room -> do
    made room "tools" (room </> "new") `shouldReturn` Right ()
    filesOf (room </> "new") `shouldReturn` [".gitignore", "README.md", "deep/er/file"]
    readFile (room </> "new/deep/er/file") `shouldReturn` "inside\n"
  it "makes files that one can write, whatever the template's are" $ \room -> do
    setFileMode (room </> "templates/tools/deep/er/file") 0o444
    made room "tools" (room </> "new") `shouldReturn` Right ()
    writable <$> getPermissions (room </> "new/deep/er/file") `shouldReturn` True
  it "fills an empty directory" $ \room -> do
    createDirectory (room </> "empty")
    made room "other" (room </> "empty") `shouldReturn` Right ()
    filesOf (room </> "empty") `shouldReturn` ["README.md"]
  it "lists the templates by name, each with its title and what to do first" $ \room -> do
    templates <- listTemplates (room </> "templates")
    templates `shouldBe` [Template "other" "Another" [], Template "tools" "The first" ["make test", "make more"]]
    renderOutcome (Listed templates) `shouldBe` "other  Another\ntools  The first\n"
    renderOutcome (Made (last templates) "my dir") `shouldBe` "made my dir from the template tools; next:\n  cd 'my dir'\n  make test\n  make more\n"
    renderOutcome (Made (head templates) "-dir") `shouldBe` "made -dir from the template other; next:\n  cd ./-dir\n"
  it "refuses an unknown template by naming those there are" $ \room -> do
    made room "../templates/tools" (room </> "new") >>= (`shouldSatisfy` usage "there is no template ../templates/tools" "take one of: other, tools")
    made room "nothing" (room </> "new") >>= (`shouldSatisfy` usage "there is no template nothing" "take one of: other, tools")
    doesPathExist (room </> "new") `shouldReturn` False
  it "refuses a place that is taken, or is nowhere, and touches nothing" $ \room -> do
    writeFile (room </> "file") "mine"
    made room "tools" (room </> "file") >>= (`shouldSatisfy` says "is there and no directory")
    made room "tools" (room </> "templates") >>= (`shouldSatisfy` says "is not empty")
    made room "tools" (room </> "a" </> "b") >>= (`shouldSatisfy` says "there is no directory to make")
    made room "tools" "/dev/null/new" `shouldReturn` Left (Environment "/dev/null/new cannot be made: Not a directory" "give a directory in a place where you can write")
    readFile (room </> "file") `shouldReturn` "mine"
    listDirectory (room </> "templates") >>= (`shouldMatchList` ["other", "tools", "no-template"])
  it "leaves a directory to whoever fills it already" $ \room -> do
    createDirectoryIfMissing True (room </> "other's" </> ".callspan-init")
    made room "tools" (room </> "other's") >>= (`shouldSatisfy` says "is not empty")
    listDirectory (room </> "other's") `shouldReturn` [".callspan-init"]
  it "leaves nothing of what it could not finish" $ \room -> do
    createSymbolicLink "/proc/nonexistent" (room </> "templates/tools/deep/er/broken")
    createDirectory (room </> "empty")
    made room "tools" (room </> "new") >>= (`shouldSatisfy` says "nothing was made: ")
    made room "tools" (room </> "empty") >>= (`shouldSatisfy` says "nothing was made: ")
    doesPathExist (room </> "new") `shouldReturn` False
    listDirectory (room </> "empty") `shouldReturn` []
  it "finds the templates where CALLSPAN_TEMPLATES says, or says what is wrong with that" $ \room -> do
    withTemplates (room </> "templates") (initialise (InitOptions Nothing Nothing False)) >>= \case
      Right (Listed templates) -> map templateName templates `shouldBe` ["other", "tools"]
      unexpected -> expectationFailure (show unexpected)
    withTemplates (room </> "nowhere") findTemplates >>= \case
      Left (Environment what _) -> what `shouldBe` "there are no templates in CALLSPAN_TEMPLATES (" <> Text.pack (room </> "nowhere") <> ")"
      unexpected -> expectationFailure (show unexpected)
  it "wants a template and a directory, or neither" $ \room -> withTemplates (room </> "templates") $ do
    initialise (InitOptions (Just "tools") Nothing False) `shouldReturn` Left (Usage "no directory was given" "callspan init tools DIR")
    initialise (InitOptions (Just "tools") (Just "") False) `shouldReturn` Left (Usage "no directory was given" "callspan init tools DIR")
    initialise (InitOptions (Just "tools") Nothing True) >>= \case
      Left (Usage what _) -> what `shouldBe` "--list makes nothing, and a template was named"
      unexpected -> expectationFailure (show unexpected)
  where
    made room name target = void <$> makeProject (room </> "templates") name (Just target)
    usage what how = (== Left (Usage what how))
    says part = either ((part `Text.isInfixOf`) . problemText) (const False)
    withTemplates directory = bracket_ (setEnv "CALLSPAN_TEMPLATES" directory) (unsetEnv "CALLSPAN_TEMPLATES")

problemText :: Problem -> Text
problemText = \case
  Usage what _ -> what
  Environment what _ -> what

-- | All files below a directory, by their paths in it.
filesOf :: FilePath -> IO [FilePath]
filesOf top = go ""
  where
    go below = listDirectory (top </> below) >>= fmap concat . traverse (each . (below </>)) . sort
    each path = doesDirectoryExist (top </> path) >>= \directory -> if directory then go path else pure [path]

-- | Two templates, and a directory that is none.
inRoom :: (FilePath -> IO ()) -> IO ()
inRoom = bracket make removePathForcibly
  where
    make = do
      room <- getTemporaryDirectory >>= \t -> mkdtemp (t </> "callspan-test-")
      let templates = room </> "templates"
          write = writeFile . (templates </>)
      mapM_ (createDirectoryIfMissing True . (templates </>)) ["other", "no-template", "tools/deep/er", "tools/__pycache__"]
      write "other/README.md" "# Another\nNo block here.\n"
      write "tools/README.md" "# The first\n```console\n$ no\n```\n```sh\nmake test\nmake more\n```\n```sh\nno\n```\n"
      write "tools/.gitignore" "__pycache__/\n"
      write "tools/deep/er/file" "inside\n"
      write "tools/__pycache__/left" ""
      pure room
