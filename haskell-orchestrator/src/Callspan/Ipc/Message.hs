-- | Every message of the protocol, as Haskell records. The single source is @ipc/proto/callspan/v1/callspan.proto@.
module Callspan.Ipc.Message (module Messages) where

import Callspan.Ipc.Message.Control as Messages
import Callspan.Ipc.Message.Model as Messages
import Callspan.Ipc.Message.Models as Messages
import Callspan.Ipc.Message.Read as Messages
import Callspan.Ipc.Message.Tool as Messages
