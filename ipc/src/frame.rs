//! Words for frames: names of bodies, limits, and short ways to make one. Separate from the generated code so that
//! the generated code stays untouched.
use crate::proto::{Frame, Meta, frame::Body};

/// Largest frame accepted where nothing else is said, in bytes after the length prefix, or of one line.
pub const DEFAULT_MAX_FRAME_BYTES: u32 = 4 << 20;
/// Largest frame that the framing can carry: the first byte of a binary length is always 0.
pub const MAX_FRAME_BYTES: u32 = (1 << 24) - 1;

impl Frame {
    /// A frame with no meta.
    pub fn new(id: u32, body: Body) -> Self {
        Self {
            id,
            body: Some(body),
            meta: None,
        }
    }

    /// Adds meta, unless it says nothing.
    #[must_use]
    pub fn with_meta(mut self, meta: Meta) -> Self {
        self.meta = (meta != Meta::default()).then_some(meta);
        self
    }

    /// The body's name on the wire; `unknown` without one.
    pub fn method(&self) -> &'static str {
        self.body.as_ref().map_or("unknown", Body::name)
    }
}

macro_rules! names {
    ($($variant:ident $name:literal),* $(,)?) => {
        impl Body {
            /// The body's name on the wire: its field in the .proto.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// A body with nothing in it, by its name on the wire.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant(Default::default())),)* _ => None }
            }
        }

        /// Names of all bodies, in the order of the .proto.
        pub const BODY_NAMES: &[&str] = &[$($name),*];
    };
}

names! {
    Delta "delta",
    Generate "generate",
    CallTool "call_tool",
    Done "done",
    ToolResult "tool_result",
    Cancel "cancel",
    Error "error",
    Ping "ping",
    Pong "pong",
    ToolRequest "tool_request",
    ToolDecision "tool_decision",
    Hello "hello",
    Welcome "welcome",
    ListTools "list_tools",
    Tools "tools",
    Health "health",
    HealthReport "health_report",
    Describe "describe",
    Description "description",
    GoAway "go_away",
    Embed "embed",
    Embeddings "embeddings",
    Score "score",
    Scores "scores",
    Metrics "metrics",
    MetricsReport "metrics_report",
    RunCode "run_code",
    Models "models",
    ModelList "model_list",
}

impl Body {
    /// Whether this body ends the request that it answers.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Done(_)
                | Self::ToolResult(_)
                | Self::Error(_)
                | Self::Pong(_)
                | Self::Welcome(_)
                | Self::Tools(_)
                | Self::HealthReport(_)
                | Self::Description(_)
                | Self::ToolDecision(_)
                | Self::Embeddings(_)
                | Self::Scores(_)
                | Self::MetricsReport(_)
                | Self::ModelList(_)
        )
    }
}
