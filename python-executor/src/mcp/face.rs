//! What one connection's client asks, answered: which tools there are, and calls of them.
#![expect(
    deprecated,
    reason = "logging is, but what clients there are still ask for it"
)]

use std::sync::{Arc, Mutex, PoisonError};

use ipc::{
    Status,
    proto::{CallTool, Code, Meta, ToolResult, frame::Body},
    server::Local,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ErrorCode, Implementation, ListToolsResult,
        LoggingLevel, PaginatedRequestParams, ServerCapabilities, ServerConfig,
        SetLevelRequestParams, SubscriptionFilter,
    },
    service::{RequestContext, SubscriptionContext},
};
use tokio_util::sync::CancellationToken;

use super::{news::News, words};
use crate::service::Tooling;

const INSTRUCTIONS: &str = "Each call runs in a confined process of its own. A failed call says its outcome (such as \
     exception, timeout or memory) and why; _meta of each result says how the tool was confined.";
/// JSON-RPC leaves the codes from here down to servers.
const BUSY: ErrorCode = ErrorCode(-32000);

pub(super) struct Face {
    tooling: Arc<Tooling>,
    calls: Local<Tooling>,
    gone: CancellationToken,
    /// Log records below it are not wanted; clients of the newest revision say that with each request.
    level: Mutex<LoggingLevel>,
}

impl Face {
    pub(super) fn new(
        tooling: Arc<Tooling>,
        calls: Local<Tooling>,
        gone: CancellationToken,
    ) -> Self {
        Self {
            tooling,
            calls,
            gone,
            level: Mutex::new(LoggingLevel::Debug),
        }
    }

    /// Runs a call to its end. Dropped before, it is stopped.
    async fn run(
        &self,
        call: CallTool,
        mut news: News,
        context: &RequestContext<RoleServer>,
    ) -> Result<ToolResult, Status> {
        let mut call = self.calls.call(Body::CallTool(call), Meta::default());
        while let Some(answer) = call.next().await {
            match answer? {
                Body::ToolResult(result) => return Ok(result),
                // Who cannot be told is gone, and then all of his calls are stopped.
                Body::Delta(delta) => _ = news.pass_on(delta, &context.peer).await,
                _ => break,
            }
        }
        Err(Status::internal("the call ended without a result"))
    }
}

/// Whether the request is of the revision in which there is no `initialize`.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| !version.has_initialize())
}

impl ServerHandler for Face {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_logging()
            .build();
        let about = Implementation::new("python-executor", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities)
            .with_server_info(about.with_title("Callspan's tools"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = request.level;
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(words::tools(&self.tooling)))
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.tooling.catalogue.subscribe();
        let wants = subscription.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.gone.cancelled() => return Ok(()),
                changed = changes.changed(), if wants => {
                    if changed.is_err() || subscription.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let modern = is_modern(&context);
        let logs = if modern {
            context.meta.log_level()
        } else {
            Some(*self.level.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let news = News {
            progress: context.meta.get_progress_token(),
            logs,
            far: 0.0,
        };
        let arguments = request.arguments.map(serde_json::Value::Object);
        let call = CallTool {
            name: request.name.into_owned(),
            arguments: arguments.map_or_else(String::new, |arguments| arguments.to_string()),
            call_id: context.id.to_string(),
        };
        let done = tokio::select! {
            done = self.run(call, news, &context) => done,
            () = context.ct.cancelled() => Err(Status::cancelled("the call was cancelled")),
        };
        match done {
            Ok(result) => Ok(words::result(result, modern).into()),
            Err(status) => Err(error(&status)),
        }
    }
}

/// A call that was not run, and not for what the tool is.
fn error(status: &Status) -> ErrorData {
    let code = match status.code {
        Code::NotFound | Code::InvalidArgument => ErrorCode::INVALID_PARAMS,
        Code::Internal => ErrorCode::INTERNAL_ERROR,
        _ => BUSY,
    };
    let mut data = serde_json::json!({"code": status.code.as_str_name(), "hint": status.hint});
    if let Some(members) = data.as_object_mut()
        && status.retry_after_ms > 0
    {
        members.insert("retry_after_ms".to_owned(), status.retry_after_ms.into());
    }
    ErrorData::new(code, status.message.clone(), Some(data))
}
