-- | Takes our servers along when this program is killed outright (kill -9), which leaves no room for cleaning up.
--
-- A parent-death signal would have to be set between fork and exec, where Haskell cannot run code, and exists on Linux
-- only. So a shell waits on a pipe whose other end only we hold: it is told which servers run, and the end of the pipe,
-- however it comes about, is its word to end them and to remove their sockets.
module Callspan.Supervise.Watchdog
  ( Watchdog,
    withWatchdog,
    watch,
    unwatch,
  )
where

import Control.Exception (IOException, bracket, try)
import Control.Monad (void)
import System.IO (Handle, IOMode (..), hClose, hFlush, hPutStrLn, withFile)
import System.Posix.Types (CPid)
import System.Process

newtype Watchdog = Watchdog Handle

-- | Watches over the servers whose sockets are in this directory.
withWatchdog :: FilePath -> (Watchdog -> IO a) -> IO a
withWatchdog directory = bracket begin end . (. fst)
  where
    begin = withFile "/dev/null" ReadWriteMode $ \null' -> do
      (stdin', _, _, process) <-
        createProcess
          (proc "/bin/sh" ["-c", script, "callspan-watchdog", directory])
            { std_in = CreatePipe,
              std_out = UseHandle null',
              std_err = UseHandle null',
              -- Ctrl-C is for this program, which then ends the servers itself.
              create_group = True
            }
      case stdin' of
        Just pipe -> pure (Watchdog pipe, process)
        Nothing -> ioError (userError "no pipe to the watchdog")
    end (Watchdog pipe, process) = do
      void (try (hClose pipe) :: IO (Either IOException ()))
      void (waitForProcess process)

-- | Each server leads a process group of its own, so its children go with it.
script :: String
script =
  unlines
    [ "trap '' HUP INT TERM",
      "pids=' '",
      "while read -r word pid; do",
      "  case $word in",
      "    watch) pids=\"$pids$pid \" ;;",
      "    unwatch) pids=\"${pids%%\" $pid \"*} ${pids#*\" $pid \"}\" ;;",
      "  esac",
      "done",
      "for pid in $pids; do kill -TERM \"$pid\"; done",
      "[ \"$pids\" = \"${pids%[0-9]*}\" ] || sleep 1",
      "for pid in $pids; do kill -KILL \"-$pid\"; done",
      "rm -rf -- \"$1\""
    ]

watch, unwatch :: Watchdog -> CPid -> IO ()
watch = tell "watch"
unwatch = tell "unwatch"

tell :: String -> Watchdog -> CPid -> IO ()
tell word (Watchdog pipe) pid = hPutStrLn pipe (word <> " " <> show pid) >> hFlush pipe
