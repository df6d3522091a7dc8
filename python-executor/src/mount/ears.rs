//! What a server says without being asked.
#![expect(
    deprecated,
    reason = "logging is, but the servers that there are do it"
)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipc::proto::{Delta, Progress};
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, LoggingMessageNotificationParam,
        ProgressNotificationParam, ProgressToken,
    },
    service::NotificationContext,
};
use tokio::sync::{Notify, mpsc::UnboundedSender};

use super::talk::Talk;

/// Who hears how far which call is.
#[derive(Clone, Default)]
pub(super) struct Hearers {
    calls: Arc<Mutex<HashMap<ProgressToken, Hearer>>>,
    /// Held from the sending of a call until it is known who hears of it: a server may be quicker.
    pub(super) sending: Arc<tokio::sync::Mutex<()>>,
}

struct Hearer {
    teller: UnboundedSender<Delta>,
    /// The SDK hands on what is told in any order: what is less than this was told before.
    far: f64,
}

/// One call, for as long as it runs.
pub(super) struct Hearing {
    hearers: Hearers,
    token: ProgressToken,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.hearers.lock().remove(&self.token);
    }
}

impl Hearers {
    fn lock(&self) -> MutexGuard<'_, HashMap<ProgressToken, Hearer>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hear(&self, token: &ProgressToken, teller: UnboundedSender<Delta>) -> Hearing {
        let far = f64::NEG_INFINITY;
        self.lock().insert(token.clone(), Hearer { teller, far });
        Hearing {
            hearers: self.clone(),
            token: token.clone(),
        }
    }

    fn tell(&self, progress: ProgressNotificationParam) {
        let mut calls = self.lock();
        let Some(hearer) = calls.get_mut(&progress.progress_token) else {
            return;
        };
        if progress.progress <= hearer.far {
            return;
        }
        hearer.far = progress.progress;
        let total = progress.total.filter(|total| *total > 0.0);
        let fraction = total.map(|total| (progress.progress / total).clamp(0.0, 1.0));
        // Who does not hear any more has ended.
        let _ = hearer.teller.send(Delta {
            progress: Some(Progress {
                fraction,
                message: progress.message.unwrap_or_default(),
            }),
            ..Delta::default()
        });
    }
}

pub(super) struct Ears {
    pub(super) talk: Arc<Talk>,
    pub(super) hearers: Hearers,
    pub(super) relist: Arc<Notify>,
}

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let about = Implementation::new("python-executor", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), about)
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        drop(self.hearers.sending.lock().await);
        self.hearers.tell(progress);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.relist.notify_one();
    }

    async fn on_logging_message(
        &self,
        log: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let text = match log.data {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        self.talk.line(&text);
    }
}
