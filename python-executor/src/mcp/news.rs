//! What is told of a call while it runs: how far the tool is and what it logs, as notifications, as far as the client
//! asked for them.
#![expect(
    deprecated,
    reason = "logging is, but the clients that there are read it"
)]

use ipc::proto::{Delta, LogRecord, Progress};
use rmcp::{
    RoleServer,
    model::{
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
    },
    service::{Peer, ServiceError},
};

pub(super) struct News {
    pub(super) progress: Option<ProgressToken>,
    /// Records of this level and above are told; nothing: none.
    pub(super) logs: Option<LoggingLevel>,
    /// How far the tool was said to be.
    pub(super) far: f64,
}

impl News {
    /// What the tool prints is told with its result.
    pub(super) async fn pass_on(
        &mut self,
        delta: Delta,
        peer: &Peer<RoleServer>,
    ) -> Result<(), ServiceError> {
        for record in delta.logs {
            let level = level(&record.level);
            if self.logs.is_some_and(|least| rank(level) >= rank(least)) {
                peer.notify_logging_message(logged(record, level)).await?;
            }
        }
        if let Some(progress) = delta.progress
            && let Some(token) = self.progress.clone()
        {
            peer.notify_progress(self.further(progress, token)).await?;
        }
        Ok(())
    }

    /// MCP wants each number to be greater than the one before: where the tool stands still, it grows by next to nothing.
    fn further(&mut self, progress: Progress, token: ProgressToken) -> ProgressNotificationParam {
        let fraction = progress.fraction.unwrap_or_default();
        self.far = fraction.max(self.far + 1e-9);
        let mut told = ProgressNotificationParam::new(token, self.far);
        told.total = progress.fraction.map(|_| 1.0);
        told.message = (!progress.message.is_empty()).then_some(progress.message);
        told
    }
}

fn logged(record: LogRecord, level: LoggingLevel) -> LoggingMessageNotificationParam {
    let mut told = LoggingMessageNotificationParam::new(level, record.message.into());
    told.logger = (!record.logger.is_empty()).then_some(record.logger);
    told
}

/// Of Python's names, which can be others as well.
fn level(name: &str) -> LoggingLevel {
    match name {
        "DEBUG" => LoggingLevel::Debug,
        "WARNING" => LoggingLevel::Warning,
        "ERROR" => LoggingLevel::Error,
        "CRITICAL" => LoggingLevel::Critical,
        _ => LoggingLevel::Info,
    }
}

fn rank(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}
